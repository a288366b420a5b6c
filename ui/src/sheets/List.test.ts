import { screen, within } from '@testing-library/svelte';
import { expect, test } from 'vitest';
import { expectAccessible } from '../test/axe';
import { NOW, at, everyState, portTaken, row, snapshot } from '../test/fixtures';
import { button, openPage, primaries, settle } from '../test/page';
import { clock } from '../lib/time';

const lineOf = (name: string) => document.querySelector<HTMLElement>(`[data-server="${name}"]`)!;

test.each([
  ['linear', 'cross', 'red', 'Sign in again', 'Reconnect'],
  ['notion', 'triangle', 'amber', 'Sign-in needed', 'Connect'],
  ['asana', 'turning', 'amber', 'Waiting for your browser', 'Open again'],
  ['github', 'triangle', 'amber', 'More access wanted', 'Review'],
  ['jira', 'triangle', 'amber', 'Keychain is locked', 'Unlock'],
  ['granola', 'check', 'green', 'Connected · 12 tools · you@example.com', null],
  ['sentry-work', 'check', 'green', 'Connected · work', null],
  ['intranet', 'dashed', 'grey', `Offline · retrying at ${clock(at(900), NOW)}`, 'Retry now'],
  ['docs', 'check', 'green', 'Connected · no sign-in needed', null],
  ['stripe', 'turning', 'grey', 'Looking', null],
  ['figma', 'hollow', 'grey', 'Off', 'Turn on'],
])('%s is a %s in %s', async (name, shape, level, text, action) => {
  await openPage();
  const line = lineOf(name);
  const glyph = line.querySelector('svg')!;
  expect(glyph.dataset.shape).toBe(shape);
  expect(glyph.classList).toContain(level);
  const opener = within(line).getByRole('button', { name });
  expect(document.getElementById(opener.getAttribute('aria-describedby')!.split(' ')[0]!)!.textContent).toBe(text);
  const others = within(line).getAllByRole('button').filter((one) => one !== opener);
  expect(others.map((one) => one.textContent!.trim())).toEqual(action ? [action] : []);
  if (action) expect(others[0]!.getAttribute('aria-label')).toBe(`${action}: ${name}`);
});

test('stands in two groups, in the order given', async () => {
  await openPage();
  const names = (group: string) =>
    within(screen.getByRole('region', { name: group }))
      .getAllByRole('listitem')
      .map((one) => one.dataset.server);
  expect(names('Needs attention')).toEqual(['linear', 'notion', 'asana', 'github', 'jira']);
  expect(names('Servers')).toEqual(['granola', 'sentry-work', 'intranet', 'docs', 'stripe', 'figma']);
});

test('the whole row opens the details, the badge too', async () => {
  const { user } = await openPage();
  await user.click(within(lineOf('linear')).getByText('DCR'));
  await settle();
  expect(screen.getByRole('heading', { name: 'linear' })).toBeTruthy();
});

test('a badge says why', async () => {
  await openPage();
  const badge = within(lineOf('linear')).getByText('DCR');
  expect(badge.title).toBe('CIMD was refused (invalid_client), registered with DCR instead.');
  expect(badge.getAttribute('aria-description')).toBe(badge.title);
});

test('has one primary button: the first thing to do, or else to add a server', async () => {
  const { keyfob } = await openPage();
  expect(primaries()).toEqual(['Reconnect']);
  keyfob.change(snapshot(everyState.slice(1)));
  await settle();
  expect(primaries()).toEqual(['Connect']);
  keyfob.change(snapshot(everyState.slice(5)));
  await settle();
  expect(primaries()).toEqual(['Add server']);
  keyfob.change(snapshot(everyState, { trouble: portTaken }));
  await settle();
  expect(primaries()).toEqual(['Try again']);
});

test.each([
  ['Retry now: intranet', ['retry', 'intranet']],
  ['Unlock: jira', ['unlock', 'jira']],
  ['Turn on: figma', ['turn', 'figma', true]],
])('%s asks for it and stays', async (name, call) => {
  const { keyfob, user } = await openPage();
  await user.click(button(name));
  expect(keyfob.calls.at(-1)).toEqual(call);
  expect(screen.getByTestId('list')).toBeTruthy();
});

test.each([
  ['Connect: notion', ['connect', 'notion']],
  ['Reconnect: linear', ['connect', 'linear']],
  ['Open again: asana', ['openAgain', 'asana']],
])('%s leads to the waiting sheet', async (name, call) => {
  const { keyfob, user } = await openPage();
  await user.click(button(name));
  await settle();
  expect(keyfob.calls.filter(([one]) => one === call[0])).toEqual([call]);
  expect(screen.getByTestId('waiting')).toBeTruthy();
});

test('Review opens the details and allows nothing yet', async () => {
  const { keyfob, user } = await openPage();
  await user.click(button('Review: github'));
  await settle();
  expect(screen.getByRole('heading', { name: 'github' })).toBeTruthy();
  expect(keyfob.asked('connect')).toEqual([]);
});

test('tells what did not work, in place', async () => {
  const { keyfob, user } = await openPage();
  keyfob.let('retry', () => {
    throw portTaken;
  });
  await user.click(button('Retry now: intranet'));
  await settle();
  const alert = screen.getByRole('alert');
  expect(alert.textContent).toContain(portTaken.message);
  expect(alert.textContent).toContain(portTaken.remedy);
});

test('says in a sentence what was rejected without one', async () => {
  const { keyfob, user } = await openPage();
  keyfob.let('retry', () => {
    throw 'command retry not found';
  });
  await user.click(button('Retry now: intranet'));
  await settle();
  expect(screen.getByRole('alert').textContent).toContain('Keyfob did not answer as expected.');
});

test('starts again after trouble', async () => {
  const { keyfob, user } = await openPage({ snapshot: snapshot([], { trouble: portTaken }) });
  expect(screen.getByText(portTaken.remedy)).toBeTruthy();
  await user.click(button('Try again'));
  expect(keyfob.asked('startAgain')).toEqual([[]]);
});

test('without servers says what Keyfob does', async () => {
  await openPage({ snapshot: snapshot([], { tray: 'missing', keeps_in_memory: true }) });
  expect(screen.getByText('Keyfob signs you in to remote MCP servers and keeps you signed in.')).toBeTruthy();
  expect(screen.getByText(/This desktop shows no tray icon/)).toBeTruthy();
  expect(screen.getByText('Sign-ins last until Keyfob ends.')).toBeTruthy();
  expect(screen.getAllByRole('button', { name: 'Add server' })).toHaveLength(1);
  expect(primaries()).toEqual(['Add server']);
  await expectAccessible();
});

test('says nothing of the tray where there is one', async () => {
  await openPage();
  expect(screen.queryByText(/tray icon/)).toBeNull();
});

test('names of all kinds are text', async () => {
  const name = '<img src=x onerror=alert(1)>';
  await openPage({ snapshot: snapshot([row(name)]) });
  expect(button(name)).toBeTruthy();
  expect(document.querySelector('img')).toBeNull();
});

test('is accessible', async () => {
  await openPage();
  await expectAccessible();
});

test('offers to revoke keys that another program may have been sent, or to keep them', async () => {
  const state = snapshot(everyState, { clients_to_rotate: ['cursor', 'zed'] });
  const { keyfob, user } = await openPage({ snapshot: state });
  const note = within(screen.getByTestId('known-keys'));
  expect(note.getByText(/may have been sent the keys of Cursor, zed\./)).toBeTruthy();
  await user.click(note.getByRole('button', { name: 'Keep them' }));
  await settle();
  await user.click(note.getByRole('button', { name: 'Revoke these keys' }));
  await settle();
  expect(keyfob.asked('keepKeys')).toHaveLength(1);
  expect(keyfob.asked('revokeKnownKeys')).toHaveLength(1);
  await expectAccessible();
});

test('does not speak of keys that nobody else can know', async () => {
  const { keyfob } = await openPage({ snapshot: snapshot(everyState, { clients_to_rotate: ['zed'] }) });
  expect(screen.getByTestId('known-keys')).toBeTruthy();
  keyfob.change(snapshot());
  await settle();
  expect(screen.queryByTestId('known-keys')).toBeNull();
});
