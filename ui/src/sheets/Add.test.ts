import { screen } from '@testing-library/svelte';
import { expect, test } from 'vitest';
import type { Found } from '../lib/bindings/page';
import { expectAccessible } from '../test/axe';
import { found, problem } from '../test/fixtures';
import { button, openPage, primaries, settle } from '../test/page';

const ADD = { place: { at: 'add' } } as const;
const NOTION = 'https://mcp.notion.com/mcp';
const address = () => screen.getByLabelText<HTMLInputElement>('Address of a remote MCP server');

test('says who will use what is allowed, where that is somebody else', async () => {
  const notice = 'What you allow at github.com will be used by mcp.notion.com.';
  const { user } = await openPage({ ...ADD, found: found({ sign_in: { ...found().sign_in!, notice } }) });
  await user.click(screen.getByLabelText('Address of a remote MCP server'));
  await user.paste('https://mcp.notion.com/mcp');
  await settle();
  expect(screen.getByText(notice)).toBeTruthy();
  await expectAccessible();
});

test('asks at once for what was pasted', async () => {
  const { keyfob, user } = await openPage(ADD);
  expect(document.activeElement).toBe(address());
  await user.paste(NOTION);
  await settle();
  expect(keyfob.asked('look')).toEqual([[NOTION]]);
  expect(screen.getByTestId('found')).toBeTruthy();
});

test('waits for half a second of quiet while somebody types, and adds the scheme', async () => {
  const { keyfob, user } = await openPage(ADD);
  await user.type(address(), 'mcp.notion.com/mcp');
  await settle(490);
  expect(keyfob.asked('look')).toEqual([]);
  await settle(20);
  expect(keyfob.asked('look')).toEqual([[NOTION]]);
});

test('Enter asks at once, and once more does the primary action', async () => {
  const { keyfob, user } = await openPage(ADD);
  await user.type(address(), 'mcp.notion.com/mcp{Enter}');
  await settle();
  expect(keyfob.asked('look')).toEqual([[NOTION]]);
  expect(keyfob.asked('add')).toEqual([]);
  await user.type(address(), '{Enter}');
  await settle();
  expect(keyfob.asked('add')).toHaveLength(1);
});

test('does not ask for what is no address', async () => {
  const { keyfob, user } = await openPage(ADD);
  await user.type(address(), 'notion{Enter}');
  await settle(2000);
  expect(keyfob.asked('look')).toEqual([]);
});

test('ignores an answer for an older text', async () => {
  const { keyfob, user } = await openPage(ADD);
  const answers: ((answer: Found) => void)[] = [];
  keyfob.let('look', () => new Promise((resolve) => answers.push(resolve)));
  await user.paste('https://old.example.com/mcp');
  expect(screen.getByText('Looking…')).toBeTruthy();
  await user.clear(address());
  await user.paste('https://new.example.com/mcp');
  await settle();
  answers[1]!(found({ name: 'new' }));
  await settle();
  answers[0]!(found({ name: 'old' }));
  await settle();
  expect(screen.getByLabelText<HTMLInputElement>('Name').value).toBe('new');
  expect(screen.queryByText('Looking…')).toBeNull();
});

test('ignores an answer after the text was taken away, even where it is a failure', async () => {
  const { keyfob, user } = await openPage(ADD);
  let fail: (problem: unknown) => void = () => {};
  keyfob.let('look', () => new Promise((_, reject) => (fail = reject)));
  await user.paste('https://old.example.com/mcp');
  await user.clear(address());
  fail(problem('not-mcp', 'No MCP server answers there.', 'Check it.'));
  await settle();
  expect(screen.queryByRole('alert')).toBeNull();
  expect(screen.queryByText('Looking…')).toBeNull();
});

test('takes what was found away when the text changes', async () => {
  const { user } = await openPage(ADD);
  await user.paste(NOTION);
  await settle();
  await user.type(address(), '2');
  expect(screen.queryByTestId('found')).toBeNull();
  expect(button('Connect').disabled).toBe(true);
});

test('shows a sign-in with a client document', async () => {
  await openPage(ADD).then(({ user }) => user.paste(NOTION));
  await settle();
  expect(screen.getByText('auth.notion.com').parentElement!.textContent).toBe('needed, at auth.notion.com');
  expect(screen.getByTestId('way').textContent).toContain('CIMD');
  expect(screen.getByTestId('way').textContent).toContain('nothing is registered');
  expect(screen.getByText('read')).toBeTruthy();
  expect(screen.getByText(/No password and no token ever reaches/)).toBeTruthy();
  expect(primaries()).toEqual(['Connect']);
  await expectAccessible();
});

test('cuts a long list of scopes and shows the rest when asked', async () => {
  const scopes = Array.from({ length: 12 }, (_, at) => `scope-${at}`);
  const { user } = await openPage({ ...ADD, found: found({ sign_in: { ...found().sign_in!, scopes } }) });
  await user.paste(NOTION);
  await settle();
  expect(screen.queryByText('scope-5')).toBeNull();
  await user.click(button('+7 more'));
  expect(screen.getByText('scope-11')).toBeTruthy();
});

test('connects: adds under the suggested name, then waits for the browser', async () => {
  const { keyfob, user } = await openPage(ADD);
  await user.paste(NOTION);
  await settle();
  await user.click(button('Connect'));
  await settle();
  const server = { url: NOTION, name: null, client_id: null, client_secret: null };
  expect(keyfob.asked('add')).toEqual([[server]]);
  expect(keyfob.asked('connect')).toEqual([['notion']]);
  expect(screen.getByTestId('waiting')).toBeTruthy();
});

test('adds under the name that was typed', async () => {
  const { keyfob, user } = await openPage(ADD);
  keyfob.let('add', () => 'work');
  await user.paste(NOTION);
  await settle();
  await user.clear(screen.getByLabelText('Name'));
  await user.type(screen.getByLabelText('Name'), 'work{Enter}');
  await settle();
  expect(keyfob.asked('add')).toEqual([[expect.objectContaining({ name: 'work' })]]);
  expect(keyfob.asked('connect')).toEqual([['work']]);
});

test('without a sign-in: adds, and nothing opens', async () => {
  const { keyfob, user } = await openPage({ ...ADD, found: found({ sign_in: null }) });
  await user.paste(NOTION);
  await settle();
  expect(screen.getByText('not needed')).toBeTruthy();
  expect(screen.queryByText('Registration')).toBeNull();
  await user.click(button('Add'));
  await settle();
  expect(keyfob.asked('add')).toHaveLength(1);
  expect(keyfob.asked('connect')).toEqual([]);
  expect(screen.getByTestId('details')).toBeTruthy();
});

test('with no way: goes on to a client of one’s own', async () => {
  const given = found({ sign_in: { ...found().sign_in!, way: null, why: 'Only by hand.' } });
  const { keyfob, user } = await openPage({ ...ADD, found: given });
  await user.paste(NOTION);
  await settle();
  expect(screen.getByTestId('way').textContent).toContain('Needs a client of your own');
  await user.click(button('Continue'));
  await settle();
  expect(keyfob.asked('connect')).toEqual([]);
  expect(screen.getByTestId('own-client')).toBeTruthy();
});

test('takes a client of one’s own, and forgets its secret', async () => {
  const given = found({ sign_in: { ...found().sign_in!, way: null } });
  const { keyfob, user } = await openPage({ ...ADD, found: given });
  keyfob.let('add', () => {
    throw problem('name-taken', 'There is already a server named notion.', 'Choose another name.');
  });
  await user.paste(NOTION);
  await settle();
  await user.click(button('I have a client id of my own'));
  const secret = screen.getByLabelText<HTMLInputElement>('Client secret');
  expect(secret.type).toBe('password');
  await user.type(screen.getByLabelText('Client ID'), 'abc');
  await user.type(secret, 's3cret');
  expect(primaries()).toEqual(['Connect']);
  await user.click(button('Connect'));
  await settle();
  expect(keyfob.asked('add')).toEqual([[expect.objectContaining({ client_id: 'abc', client_secret: 's3cret' })]]);
  expect(secret.value).toBe('');
  expect(screen.getByRole('alert').textContent).toContain('Choose another name.');
  await expectAccessible();
});

test('says that the server is known already', async () => {
  const { user } = await openPage({ ...ADD, found: found({ known_as: ['notion', 'team'] }) });
  await user.paste(NOTION);
  await settle();
  expect(screen.getByText(/You have this server already as notion, team\./)).toBeTruthy();
});

test('tells why nothing was found, and asks again on Enter', async () => {
  const { keyfob, user } = await openPage(ADD);
  keyfob.let('look', () => {
    throw problem('not-mcp', 'No MCP server answers there.', 'Check the address.');
  });
  await user.paste(NOTION);
  await settle();
  expect(screen.getByRole('alert').textContent).toContain('Check the address.');
  await user.type(address(), '{Enter}');
  await settle();
  expect(keyfob.asked('look')).toEqual([[NOTION], [NOTION]]);
});
