import { screen, within } from '@testing-library/svelte';
import { expect, test } from 'vitest';
import type { Details } from '../lib/bindings/page';
import type { ServerChange } from '../lib/ipc';
import { expectAccessible } from '../test/axe';
import { details, endsSignIn, nameTaken, row, snapshot } from '../test/fixtures';
import { button, openPage, primaries, settle } from '../test/page';

const granola = row('granola');
const ENTRY = { issuer: null, scopes: ['notes:read'], headers: ['X-Workspace'], allow_guessed_endpoints: false };
/** One whose address may change without a thought of its headers. */
const BARE = { ...ENTRY, headers: [] };
const SERVICES = ['https://mcp-auth.granola.ai', 'https://login.example.com'];
const given = (change: Partial<Details> = {}, of = granola) => ({
  snapshot: snapshot([of]),
  place: { at: 'edit', name: of.name } as const,
  details: (name: string) => details(name === of.name ? of : row(name), { entry: ENTRY, ...change }),
});
const field = (label: string) => screen.getByLabelText<HTMLInputElement>(label);
const at = () => document.querySelector('.sheet')!.getAttribute('data-testid');

type Page = Awaited<ReturnType<typeof openPage>>;
const retype = async (user: Page['user'], label: string, text: string) => {
  await user.clear(field(label));
  if (text !== '') await user.type(field(label), text);
};
const sent = (keyfob: Page['keyfob']) => keyfob.asked('edit') as [string, ServerChange][];

test('is reached from the details and leads back there', async () => {
  const { keyfob, user } = await openPage({ ...given(), place: { at: 'details', name: 'granola' } });
  await user.click(button('Change…'));
  await settle();
  expect(at()).toBe('edit');
  expect(screen.getByRole('heading', { level: 1, name: 'Change granola' })).toBeTruthy();
  await user.keyboard('{Escape}');
  await settle();
  expect(at()).toBe('details');
  expect(keyfob.asked('edit')).toEqual([]);
});

test('shows what is set, begins in the first field, and Enter saves', async () => {
  const { keyfob, user } = await openPage(given({ services: SERVICES }));
  expect(document.activeElement).toBe(field('Name'));
  expect(field('Name').value).toBe('granola');
  expect(field('Address').value).toBe('https://mcp.granola.com/mcp');
  expect(field('Scopes').value).toBe('notes:read');
  const service = screen.getByLabelText<HTMLSelectElement>('Sign-in service');
  expect([...service.options].map((one) => one.text)).toEqual(['The one that the server names', ...SERVICES, 'Another address']);
  expect(primaries()).toEqual(['Save']);
  await retype(user, 'Scopes', 'notes:read notes:write{Enter}');
  await settle();
  expect(sent(keyfob)).toEqual([
    [
      'granola',
      {
        name: 'granola', url: 'https://mcp.granola.com/mcp', issuer: '', scopes: ['notes:read', 'notes:write'],
        headers: [], no_headers: [], allow_guessed_endpoints: false, may_sign_out: false,
      },
    ],
  ]);
  expect(at()).toBe('details');
});

test('says what another name means, and shows the server under it', async () => {
  const { keyfob, user } = await openPage(given());
  expect(screen.queryByText(/have to be set up again/)).toBeNull();
  await retype(user, 'Name', 'notes');
  expect(screen.getByText('Programs that use granola by its address have to be set up again.')).toBeTruthy();
  let answer = (_: object) => {};
  keyfob.let('edit', () => new Promise((resolve) => (answer = resolve)));
  await user.click(button('Save'));
  // The list has the new name before the answer comes.
  keyfob.change(snapshot([row('notes')]));
  await settle();
  expect(at()).toBe('edit');
  answer({ name: 'notes', undone: [] });
  await settle();
  expect(at()).toBe('details');
  expect(screen.getByRole('heading', { level: 1, name: 'notes' })).toBeTruthy();
});

test('asks before a change that signs out', async () => {
  const { keyfob, user } = await openPage(given({ entry: BARE }));
  await retype(user, 'Address', 'https://mcp.elsewhere.com/mcp{Enter}');
  expect(sent(keyfob)).toEqual([]);
  expect(screen.getByRole('alert').textContent).toContain('This signs you out of granola.');
  expect(document.activeElement).toBe(button('Keep as it is'));
  await expectAccessible();
});

test('keeps what was typed where it stays as it is', async () => {
  const { keyfob, user } = await openPage(given({ entry: BARE }));
  await retype(user, 'Address', 'https://mcp.elsewhere.com/mcp{Enter}');
  await user.click(button('Keep as it is'));
  expect(screen.queryByRole('alert')).toBeNull();
  expect(document.activeElement).toBe(button('Save'));
  await user.click(button('Save'));
  await user.keyboard('{Escape}');
  expect(at()).toBe('edit');
  expect(screen.queryByRole('alert')).toBeNull();
  expect(field('Address').value).toBe('https://mcp.elsewhere.com/mcp');
  await user.click(button('Save'));
  await user.type(field('Address'), '2');
  expect(screen.queryByRole('alert')).toBeNull();
  expect(sent(keyfob)).toEqual([]);
});

test('signs out and changes when that is agreed to, and tells what could not be done', async () => {
  const { keyfob, user } = await openPage({
    ...given({ services: SERVICES }),
    edited: (_, change) => ({ name: change.name, undone: ['The service was not told.'] }),
  });
  await user.selectOptions(screen.getByLabelText('Sign-in service'), SERVICES[1]!);
  await user.click(button('Save'));
  await user.click(button('Sign out and change'));
  await settle();
  expect(sent(keyfob)).toHaveLength(1);
  expect(sent(keyfob)[0]![1]).toMatchObject({ issuer: SERVICES[1], may_sign_out: true });
  expect(at()).toBe('details');
  expect(screen.getByText('The service was not told.')).toBeTruthy();
});

test('asks where only Keyfob knows of a sign-in, and then signs out and changes', async () => {
  const off = row('granola', { state: 'off', level: 'grey' });
  const { keyfob, user } = await openPage(given({ refreshed_at: null }, off));
  keyfob.let('edit', (_, change: ServerChange) => {
    if (!change.may_sign_out) throw endsSignIn;
    return { name: change.name, undone: [] };
  });
  await retype(user, 'Address', 'https://mcp.granola.com/v2{Enter}');
  await settle();
  expect(screen.getAllByRole('alert').map((one) => one.textContent)).toEqual([
    'This signs you out of granola. Its sign-in is good only with what is set now.',
  ]);
  expect(document.activeElement).toBe(button('Keep as it is'));
  await user.click(button('Sign out and change'));
  await settle();
  expect(sent(keyfob).map(([, change]) => [change.url, change.may_sign_out])).toEqual([
    ['https://mcp.granola.com/v2', false],
    ['https://mcp.granola.com/v2', true],
  ]);
  expect(at()).toBe('details');
});

test('keeps it as it is where only Keyfob knew of a sign-in, as often as it is saved', async () => {
  const off = row('granola', { state: 'off', level: 'grey' });
  const { keyfob, user } = await openPage(given({ refreshed_at: null }, off));
  keyfob.let('edit', () => {
    throw endsSignIn;
  });
  await retype(user, 'Address', 'https://mcp.granola.com/v2');
  for (const times of [1, 2]) {
    await user.click(button('Save'));
    await settle();
    await user.click(button('Keep as it is'));
    expect(screen.queryByRole('alert')).toBeNull();
    expect(document.activeElement).toBe(button('Save'));
    expect(field('Address').value).toBe('https://mcp.granola.com/v2');
    expect(sent(keyfob)).toHaveLength(times);
  }
  expect(sent(keyfob).some(([, change]) => change.may_sign_out)).toBe(false);
});

test('does not ask again where it was agreed to already', async () => {
  const { keyfob, user } = await openPage(given({ entry: BARE }));
  keyfob.let('edit', () => {
    throw endsSignIn;
  });
  await retype(user, 'Address', 'https://mcp.elsewhere.com/mcp{Enter}');
  await user.click(button('Sign out and change'));
  await settle();
  expect(screen.getByRole('alert').textContent).toContain('Nothing has been changed.');
  expect(screen.queryByRole('button', { name: 'Sign out and change' })).toBeNull();
});

test('asks nothing where nobody is signed in', async () => {
  const out = row('granola', { state: 'signed-out', level: 'amber' });
  const { keyfob, user } = await openPage(given({ refreshed_at: null, entry: BARE }, out));
  await retype(user, 'Address', 'mcp.elsewhere.com/mcp{Enter}');
  expect(sent(keyfob)[0]![1]).toMatchObject({ url: 'https://mcp.elsewhere.com/mcp', may_sign_out: false });
});

test('takes another sign-in service by its address', async () => {
  const { keyfob, user } = await openPage(given());
  await user.selectOptions(screen.getByLabelText('Sign-in service'), 'Another address');
  expect(button('Save').disabled).toBe(true);
  await user.type(field('Address of the sign-in service'), 'https://mcp-auth.granola.ai{Enter}');
  await settle();
  expect(sent(keyfob)[0]![1]).toMatchObject({ issuer: 'https://mcp-auth.granola.ai', may_sign_out: false });
});

test('removes headers, or keeps them after all', async () => {
  const { keyfob, user } = await openPage(given({ entry: { ...ENTRY, headers: ['X-Workspace', 'X-Other'] } }));
  await user.click(button('Remove header X-Workspace'));
  await user.click(button('Remove header X-Other'));
  await user.click(button('Keep header X-Other'));
  await user.click(button('Save'));
  expect(sent(keyfob)[0]![1]).toMatchObject({ headers: [], no_headers: ['X-Workspace'] });
});

test('adds headers, whose values are written and never read', async () => {
  const { keyfob, user } = await openPage(given());
  await user.click(button('Add a header'));
  const headers = within(screen.getByTestId('headers'));
  const value = headers.getByLabelText<HTMLInputElement>('Value');
  expect(document.activeElement).toBe(headers.getByLabelText('Name'));
  expect(value.type).toBe('password');
  expect(value.autocomplete).toBe('off');
  await user.keyboard('X-Key');
  expect(button('Save').disabled).toBe(true);
  await user.type(value, 's3cret');
  await user.click(button('Add a header'));
  await user.click(headers.getAllByRole('button', { name: 'Remove new header' })[1]!);
  expect(document.activeElement).toBe(button('Add a header'));
  await user.click(button('Save'));
  await settle();
  expect(sent(keyfob)[0]![1].headers).toEqual([['X-Key', 's3cret']]);
  // Whoever opens the sheet again finds no value.
  await user.click(button('Change…'));
  await settle();
  expect(screen.queryByLabelText('Value')).toBeNull();
});

const STRAY = 'These were meant for the address before. Enter them anew or remove them.';

test('sends no header to another place than it was meant for', async () => {
  const out = row('granola', { state: 'signed-out', level: 'amber' });
  const entry = { ...ENTRY, headers: ['X-Workspace', 'X-Key'] };
  const { keyfob, user } = await openPage(given({ refreshed_at: null, entry }, out));
  await retype(user, 'Address', 'https://mcp.granola.com/v2');
  expect(screen.queryByText(STRAY)).toBeNull();
  expect(button('Save').disabled).toBe(false);

  await retype(user, 'Address', 'https://mcp.elsewhere.com/mcp{Enter}');
  const headers = within(screen.getByTestId('headers'));
  expect(headers.getByText(STRAY)).toBeTruthy();
  expect(button('Save').disabled).toBe(true);
  expect(sent(keyfob)).toEqual([]);

  await user.click(button('Remove header X-Workspace'));
  expect(button('Save').disabled).toBe(true);
  await user.click(button('Add a header'));
  await user.keyboard('x-key');
  expect(button('Save').disabled).toBe(true);
  await user.type(headers.getByLabelText('Value'), 's3cret');
  expect(screen.queryByText(STRAY)).toBeNull();
  await user.click(button('Save'));
  expect(sent(keyfob)[0]![1]).toMatchObject({
    url: 'https://mcp.elsewhere.com/mcp', headers: [['x-key', 's3cret']], no_headers: ['X-Workspace'],
  });
});

test('keeps the headers where the address comes back', async () => {
  const { user } = await openPage(given());
  await retype(user, 'Address', 'http://mcp.granola.com/mcp');
  expect(screen.getByText(STRAY)).toBeTruthy();
  await retype(user, 'Address', 'mcp.granola.com:443/mcp');
  expect(screen.queryByText(STRAY)).toBeNull();
  expect(button('Save').disabled).toBe(false);
});

test('is accessible with headers that were meant for another address', async () => {
  const { user } = await openPage(given());
  await retype(user, 'Address', 'https://mcp.elsewhere.com/mcp');
  expect(screen.getByText(STRAY)).toBeTruthy();
  await expectAccessible();
});

test('is accessible with a header that is being added', async () => {
  const { user } = await openPage(given());
  await user.click(button('Add a header'));
  await expectAccessible();
});

test('loses nothing that was typed where it was not taken', async () => {
  const { keyfob, user } = await openPage(given());
  keyfob.let('edit', () => {
    throw nameTaken;
  });
  await retype(user, 'Name', 'docs');
  await user.click(button('Add a header'));
  await user.keyboard('X-Key');
  await user.type(field('Value'), 's3cret');
  await user.click(button('Save'));
  await settle();
  expect(screen.getByRole('alert').textContent).toContain('There is already a server named docs.');
  expect(screen.getByRole('alert').textContent).toContain('Choose another name.');
  expect(field('Value').value).toBe('s3cret');
  keyfob.change(snapshot([granola]));
  await settle();
  expect(screen.getAllByLabelText<HTMLInputElement>('Name')[0]!.value).toBe('docs');
  expect(button('Save').disabled).toBe(false);
});

test('lets addresses be guessed for older servers', async () => {
  const { keyfob, user } = await openPage(given());
  await user.click(screen.getByText('Older servers'));
  await user.click(field('Guess where to sign in where the server does not say it'));
  await user.click(button('Save'));
  expect(sent(keyfob)[0]![1].allow_guessed_endpoints).toBe(true);
});

test('needs a name and an address', async () => {
  const { user } = await openPage(given());
  await retype(user, 'Name', '');
  expect(button('Save').disabled).toBe(true);
});

test('goes where somebody else has removed it', async () => {
  const { keyfob } = await openPage(given());
  keyfob.change(snapshot([]));
  await settle();
  expect(at()).toBe('list');
});

test('is accessible', async () => {
  await openPage(given({ services: SERVICES }));
  await expectAccessible();
});
