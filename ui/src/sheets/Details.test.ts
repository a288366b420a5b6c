import { screen, within } from '@testing-library/svelte';
import { expect, test } from 'vitest';
import type { Details, Row } from '../lib/bindings/page';
import { expectAccessible } from '../test/axe';
import { everyState, details, noRoute, offline, row, snapshot } from '../test/fixtures';
import { button, openPage, primaries, settle } from '../test/page';

const granola = row('granola', { account: 'you@example.com' });
const given = (of: Row, change: Partial<Details> = {}) => ({
  snapshot: snapshot([of]),
  place: { at: 'details', name: of.name } as const,
  details: () => details(of, change),
});
const state = (name: string) => everyState.find((one) => one.name === name)!;
const valueOf = (term: string) => screen.getByText(term).closest('div')!.querySelector('dd')!.textContent!.trim();

test('shows what is known', async () => {
  await openPage(given(granola));
  expect(screen.getByRole('heading', { level: 1, name: 'granola' })).toBeTruthy();
  expect(screen.getByText('127.0.0.1:15393/granola')).toBeTruthy();
  expect(valueOf('Account')).toBe('you@example.com');
  expect(valueOf('Access')).toMatch(/^ends in 41 min · next renewal \d\d:\d\d\s+last renewed \d\d:\d\d\s+Renew now$/);
  expect(valueOf('How')).toBe("CIMD The server offers CIMD and accepted Keyfob's document.");
  expect(valueOf('Client ID')).toBe('https://keyfob.example/client.json');
  expect(valueOf('Issuer')).toBe('https://mcp-auth.granola.ai');
  expect(valueOf('Redirect')).toBe('http://127.0.0.1:15393/callback');
  expect(valueOf('Since')).toMatch(/^2[34] Nov 2026, \d\d:\d\d$/);
  expect(primaries()).toEqual([]);
  await expectAccessible();
});

test('tells the steps in plain words', async () => {
  await openPage(given(granola));
  const steps = within(screen.getByTestId('trace')).getAllByRole('listitem');
  expect(steps).toHaveLength(8);
  expect(steps[0]!.textContent).toContain('Asked the server');
  expect(steps[0]!.textContent).toContain('mcp.granola.com · HTTP 401');
  expect(steps[0]!.textContent).toContain('38 ms');
  expect(steps[5]!.textContent).toContain('9.2 s');
  expect(steps.map((one) => one.querySelector('svg')!.dataset.shape)).toEqual(Array(8).fill('check'));
});

test('marks the step at which it failed', async () => {
  await openPage(given({ ...state('notion'), problem: noRoute }));
  const shapes = within(screen.getByTestId('trace')).getAllByRole('listitem')
    .map((one) => one.querySelector('svg')!.dataset.shape);
  expect(shapes.slice(-2)).toEqual(['check', 'triangle']);
  expect(screen.getByText(noRoute.message)).toBeTruthy();
});

test('asks again after every change of state, and the newest answer counts', async () => {
  const { keyfob } = await openPage(given(granola));
  const answers: ((of: Details) => void)[] = [];
  keyfob.let('details', () => new Promise((resolve) => answers.push(resolve)));
  keyfob.change(snapshot([granola]));
  await settle();
  keyfob.change(snapshot([granola]));
  await settle();
  expect(answers).toHaveLength(2);
  answers[1]!(details(granola, { tools: 99 }));
  await settle();
  answers[0]!(details(granola, { tools: 1 }));
  await settle();
  expect(valueOf('Tools')).toContain('99');
});

test('keeps its times up to date', async () => {
  await openPage(given(granola));
  await settle(5 * 60_000);
  expect(valueOf('Access')).toContain('ends in 36 min');
});

test.each([
  ['Copy address', ['copyAddress', 'granola']],
  ['Copy setup', ['copySetup', 'granola', 'cursor']],
  ['Copy report', ['copyReport', 'granola']],
  ['Renew now', ['refresh', 'granola']],
  ['Forget', ['forgetRegistration', 'granola']],
  ['Register again', ['registerAgain', 'granola']],
  ['Turn off', ['turn', 'granola', false]],
  ['Sign out', ['signOut', 'granola']],
  ['Show tools', ['tools', 'granola']],
])('%s asks for it', async (name, call) => {
  const { keyfob, user } = await openPage(given(granola));
  await user.click(button(name));
  await settle();
  expect(keyfob.calls.filter(([one]) => one === call[0])).toEqual([call]);
});

test('copies the setup of the chosen client and says what it holds', async () => {
  const { keyfob, user } = await openPage(given(granola));
  const choice = screen.getByLabelText<HTMLSelectElement>('Use it in');
  expect([...choice.options].map((one) => one.text)).toEqual(['Cursor', 'VS Code', 'Claude Code', 'Codex', 'Another client']);
  await user.selectOptions(choice, 'claude-code');
  await user.click(button('Copy setup'));
  await settle();
  expect(keyfob.asked('copySetup')).toEqual([['granola', 'claude-code']]);
  expect(screen.getByText('Copied. It is a command for a terminal and holds no key.')).toBeTruthy();
  await user.selectOptions(choice, 'codex');
  await user.click(button('Copy setup'));
  await settle();
  expect(screen.getByText('Copied. It holds a key for this client; paste it there.')).toBeTruthy();
});

test('lists the tools', async () => {
  const { user } = await openPage(given(granola));
  await user.click(button('Show tools'));
  await settle();
  expect(screen.getByText('search_notes')).toBeTruthy();
  await user.click(button('Hide tools'));
  expect(screen.queryByText('search_notes')).toBeNull();
});

test('follows a new registration to its sign-in, and no sign-in that others began', async () => {
  const begun = { ...state('asana'), name: 'granola' };
  const { keyfob, user } = await openPage(given(granola));
  keyfob.change(snapshot([begun]));
  await settle();
  expect(screen.getByTestId('details')).toBeTruthy();
  keyfob.change(snapshot([granola]));
  await settle();
  await user.click(button('Register again'));
  keyfob.change(snapshot([begun]));
  await settle();
  expect(screen.getByTestId('waiting')).toBeTruthy();
});

const SERVICES = ['https://mcp-auth.granola.ai', 'https://login.example.com/tenant'];

test('offers the other sign-in services that the server names, and follows to the sign-in', async () => {
  const { keyfob, user } = await openPage(given(granola, { services: SERVICES }));
  const lines = within(screen.getByTestId('services')).getAllByRole('listitem');
  expect(lines.map((one) => one.textContent!.trim().replace(/\s+/g, ' '))).toEqual([
    'https://mcp-auth.granola.ai in use',
    'https://login.example.com/tenant Sign in here',
  ]);
  await user.click(button('Sign in here: https://login.example.com/tenant'));
  expect(keyfob.asked('connectAt')).toEqual([['granola', SERVICES[1]]]);
  keyfob.change(snapshot([{ ...state('asana'), name: 'granola' }]));
  await settle();
  expect(screen.getByTestId('waiting')).toBeTruthy();
});

test('offers all of them before the first sign-in, and none where there is no choice', async () => {
  const { keyfob } = await openPage(given(state('notion'), { services: SERVICES, registration: null }));
  expect(screen.getAllByRole('button', { name: /^Sign in here/ })).toHaveLength(2);
  await expectAccessible();
  keyfob.let('details', () => details(state('notion'), { services: SERVICES.slice(1) }));
  keyfob.change(snapshot([state('notion')]));
  await screen.findByText('CIMD');
  expect(screen.queryByTestId('services')).toBeNull();
});

test('asks for more access only when it is allowed here', async () => {
  const { keyfob, user } = await openPage(given(state('github'), { wanted: ['repo', 'workflow'] }));
  const card = screen.getByRole('region', { name: 'More access wanted' });
  expect(within(card).getAllByRole('listitem').map((one) => one.textContent)).toEqual(['repo', 'workflow']);
  expect(primaries()).toEqual(['Allow more access']);
  await user.click(button('Allow more access'));
  await settle();
  expect(keyfob.asked('connect')).toEqual([['github']]);
  expect(screen.getByTestId('waiting')).toBeTruthy();
});

test.each([
  ['linear', 'Reconnect'],
  ['notion', 'Connect'],
  ['asana', 'Open again'],
  ['github', 'Allow more access'],
  ['jira', 'Unlock'],
  ['intranet', 'Retry now'],
  ['figma', 'Turn on'],
])('offers for %s what is to be done: %s', async (name, label) => {
  await openPage(given(state(name)));
  expect(primaries()).toEqual([label]);
  expect(screen.getAllByRole('button', { name: label })).toHaveLength(1);
});

test('has nothing to sign out of, renew or register where no sign-in is needed', async () => {
  await openPage(given(state('docs'), { registration: null, refreshed_at: null, expires_at: null, scopes: [] }));
  expect(screen.queryByRole('button', { name: 'Sign out' })).toBeNull();
  expect(screen.queryByText('Access')).toBeNull();
  expect(screen.queryByTestId('registration')).toBeNull();
});

test('shows what could not be done on signing out', async () => {
  const { keyfob, user } = await openPage(given(granola));
  keyfob.let('signOut', () => ['The server was not told.']);
  await user.click(button('Sign out'));
  await settle();
  expect(screen.getByText('The server was not told.')).toBeTruthy();
});

test('offers a client of one’s own first where nothing else is left', async () => {
  await openPage(given({ ...state('notion'), problem: noRoute }));
  expect(primaries()).toEqual(['Use my own client']);
  expect(screen.getAllByRole('button', { name: 'Use my own client' })).toHaveLength(1);
});

test('goes where somebody else has removed it', async () => {
  const { keyfob } = await openPage(given(granola));
  keyfob.change(snapshot([]));
  await settle();
  expect(screen.getByTestId('list')).toBeTruthy();
});

test('asks once more before it removes', async () => {
  const { keyfob, user } = await openPage(given(granola));
  await user.click(button('Remove'));
  expect(screen.getByRole('alert').textContent).toContain('Remove granola? You will be signed out.');
  expect(document.activeElement).toBe(button('Keep it'));
  await user.keyboard('{Escape}');
  expect(screen.queryByText(/You will be signed out/)).toBeNull();
  expect(screen.getByTestId('details')).toBeTruthy();
  expect(keyfob.asked('remove')).toEqual([]);
  await user.click(button('Remove'));
  await user.click(button('Remove'));
  await settle();
  expect(keyfob.asked('remove')).toEqual([['granola']]);
  expect(screen.getByTestId('list')).toBeTruthy();
});

test('stays to tell what could not be done on removing', async () => {
  const { keyfob, user } = await openPage(given(granola));
  keyfob.let('remove', () => ['The registration could not be deleted.']);
  await user.click(button('Remove'));
  await user.click(button('Remove'));
  keyfob.change(snapshot([]));
  await settle();
  expect(screen.getByText('The registration could not be deleted.')).toBeTruthy();
  expect(screen.queryByRole('alert')).toBeNull();
});

test('tells in place what did not work', async () => {
  const { keyfob, user } = await openPage(given(granola));
  keyfob.let('copyAddress', () => {
    throw offline;
  });
  await user.click(button('Copy address'));
  await settle();
  expect(screen.getByRole('alert').textContent).toContain(offline.remedy);
});

test('shows which programs have a key and takes one away', async () => {
  const { keyfob, user } = await openPage(given(granola));
  const keys = within(screen.getByTestId('keys'));
  expect(keys.getByText('last used 5 min ago')).toBeTruthy();
  const seen = keyfob.asked('details').length;
  await user.click(keys.getByRole('button', { name: 'Revoke the key of Cursor' }));
  await settle();
  expect(keyfob.asked('revokeKey')).toEqual([['granola', 'cursor']]);
  expect(keyfob.asked('details').length).toBeGreaterThan(seen);
  await expectAccessible();
});

test('shows no keys where nobody has one', async () => {
  await openPage(given(granola, { keys: [] }));
  expect(screen.queryByTestId('keys')).toBeNull();
});
