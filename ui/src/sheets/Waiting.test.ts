import { screen } from '@testing-library/svelte';
import { expect, test } from 'vitest';
import type { Problem, Row } from '../lib/bindings/page';
import { expectAccessible } from '../test/axe';
import { at, declined, noRoute, offline, problem, row, snapshot, step } from '../test/fixtures';
import { button, openPage, primaries, settle } from '../test/page';

const signingIn = (change: Partial<NonNullable<Row['sign_in']>> = {}) =>
  row('notion', {
    state: 'signing-in',
    level: 'amber',
    text: 'Waiting for your browser',
    action: 'open-again',
    needs_attention: true,
    sign_in: { until: at(600), is_opened: true, step: null, notice: null, ...change },
  });
const signedOut = (why: Problem | null) =>
  row('notion', {
    state: 'signed-out',
    level: 'amber',
    text: 'Sign-in needed',
    action: 'connect',
    needs_attention: true,
    problem: why,
  });
const given = (of: Row) => ({ snapshot: snapshot([of]), place: { at: 'waiting', name: 'notion' } as const });

test('counts down each second', async () => {
  await openPage(given(signingIn()));
  expect(screen.getByRole('timer').textContent!.trim()).toBe('10:00');
  await settle(2000);
  expect(screen.getByRole('timer').textContent!.trim()).toBe('9:58');
  expect(screen.getByText('Waiting for your browser')).toBeTruthy();
  expect(primaries()).toEqual(['Open again']);
  await expectAccessible();
});

test('says who will use what is allowed, where that is somebody else', async () => {
  const notice = 'What you allow at github.com will be used by mcp.notion.com.';
  await openPage(given(signingIn({ notice })));
  expect(screen.getByText(notice)).toBeTruthy();
  await expectAccessible();
});

test('goes on at the service of another server only once that is wanted', async () => {
  const asked: Problem = {
    code: 'shared-service',
    message:
      'notion asks you to sign in at github.com, where github signs in. What you allow there will be used by mcp.notion.com.',
    remedy: '',
    params: { issuer: 'https://github.com', host: 'mcp.notion.com' },
  };
  const page = given(signingIn());
  const { keyfob, user } = await openPage(page);
  keyfob.change(snapshot([signedOut(asked)]));
  await settle(2000);
  expect(screen.getByText('Nothing is allowed yet')).toBeTruthy();
  expect(screen.getByText('Go on only if you trust mcp.notion.com with it. If not, remove this server.')).toBeTruthy();
  expect(primaries()).toEqual([]);
  expect(screen.queryByRole('button', { name: 'Try again' })).toBeNull();
  await user.click(button('I trust it, go on'));
  await settle();
  expect(keyfob.calls.slice(-2)).toEqual([
    ['acceptService', 'notion', 'https://github.com'],
    ['connect', 'notion'],
  ]);
});

test('asks about the service of another server in a way that is read out', async () => {
  const asked: Problem = {
    code: 'shared-service',
    message: 'notion asks you to sign in at github.com, where github signs in.',
    remedy: '',
    params: { issuer: 'https://github.com', host: 'mcp.notion.com' },
  };
  const { keyfob } = await openPage(given(signingIn()));
  keyfob.change(snapshot([signedOut(asked)]));
  await settle(2000);
  expect(screen.getByRole('alert').textContent).toContain(asked.message);
  await expectAccessible();
});

test('says what it does before there is a link', async () => {
  const last = step('resource-metadata', 'found');
  await openPage(given(signingIn({ until: null, is_opened: false, step: last })));
  expect(screen.getByText('Preparing…')).toBeTruthy();
  expect(screen.getByText('Looked for its sign-in description')).toBeTruthy();
  expect(screen.queryByRole('timer')).toBeNull();
  expect(screen.queryByRole('button', { name: 'Copy link' })).toBeNull();
});

test('has the link copied where no browser could be opened', async () => {
  const { keyfob, user } = await openPage(given(signingIn({ is_opened: false })));
  expect(screen.getByText('Your browser could not be opened. Copy the link.')).toBeTruthy();
  const copy = document.querySelector<HTMLElement>('[data-primary]')!;
  await user.click(copy);
  await settle();
  expect(keyfob.asked('copyLink')).toEqual([['notion']]);
  const spoken = () => [...document.querySelectorAll('[aria-live="polite"]')].map((one) => one.textContent);
  expect(spoken()).toContain('Copied');
  await settle(2000);
  expect(spoken()).not.toContain('Copied');
});

test('opens again and tries another way', async () => {
  const { keyfob, user } = await openPage(given(signingIn()));
  await user.click(button('Open again'));
  await user.click(button('Try another way'));
  await settle();
  expect(keyfob.calls.slice(-2)).toEqual([
    ['openAgain', 'notion'],
    ['tryAnotherWay', 'notion'],
  ]);
});

test('sends a pasted address and forgets it', async () => {
  const { keyfob, user } = await openPage(given(signingIn()));
  keyfob.let('pasteAddress', () => {
    throw problem('usage', 'That is not the address.', 'Paste the whole address.');
  });
  await user.click(screen.getByText('Paste the address you were sent to'));
  const input = screen.getByLabelText<HTMLInputElement>('Address from the browser');
  await user.type(input, 'http://127.0.0.1/callback?code=x{Enter}');
  await settle();
  expect(keyfob.asked('pasteAddress')).toEqual([['notion', 'http://127.0.0.1/callback?code=x']]);
  expect(input.value).toBe('');
  expect(screen.getByRole('alert').textContent).toContain('Correct it and try again.');
});

test('shows the server once it is signed in', async () => {
  const { keyfob } = await openPage(given(signingIn()));
  keyfob.change(snapshot([row('notion')]));
  await settle();
  expect(screen.getByTestId('details')).toBeTruthy();
  expect(screen.getByText('Connected. Your clients can use it now.')).toBeTruthy();
});

test('stays with the reason where it failed, and tries again', async () => {
  const { keyfob, user } = await openPage(given(signingIn()));
  keyfob.change(snapshot([signedOut(declined)]));
  await settle();
  expect(screen.getByText(declined.message)).toBeTruthy();
  expect(screen.getByText(declined.remedy)).toBeTruthy();
  expect(primaries()).toEqual(['Try again']);
  await user.keyboard('{Enter}');
  await settle();
  expect(keyfob.asked('connect')).toEqual([['notion']]);
  // What failed before is no news about the new one.
  expect(screen.getByText('Preparing…')).toBeTruthy();
  keyfob.change(snapshot([signingIn()]));
  await settle();
  expect(screen.getByRole('timer')).toBeTruthy();
});

test.each(['no-registration-route', 'registration-refused'] as const)(
  'after %s leads to a client of one’s own',
  async (code) => {
    const { keyfob } = await openPage(given(signingIn()));
    keyfob.change(snapshot([signedOut({ ...noRoute, code })]));
    await settle();
    expect(primaries()).toEqual(['Use my own client']);
    await expectAccessible();
    button('Use my own client').click();
    await new Promise((later) => setTimeout(later, 0));
    expect(screen.getByTestId('own-client')).toBeTruthy();
  },
);

test('does not take an old failure for that of a new sign-in, but does not wait for ever', async () => {
  const { keyfob, user } = await openPage({ snapshot: snapshot([signedOut(declined)]) });
  await user.click(button('Connect: notion'));
  await settle();
  expect(keyfob.asked('connect')).toEqual([['notion']]);
  expect(screen.queryByText(declined.message)).toBeNull();
  expect(screen.getByText('Preparing…')).toBeTruthy();
  await settle(1600);
  expect(screen.getByText(declined.message)).toBeTruthy();
});

test('waits for a server that was just added and is not on the list yet', async () => {
  const { keyfob } = await openPage({ snapshot: snapshot([]), place: { at: 'waiting', name: 'notion' } });
  await settle(3000);
  expect(screen.getByText('Preparing…')).toBeTruthy();
  keyfob.change(snapshot([signingIn()]));
  await settle();
  expect(screen.getByRole('timer')).toBeTruthy();
});

test('goes back to the list where it was cancelled elsewhere', async () => {
  const { keyfob } = await openPage(given(signingIn()));
  keyfob.change(snapshot([signedOut(problem('cancelled', 'It was cancelled.', 'Start it again.'))]));
  await settle();
  expect(screen.getByTestId('list')).toBeTruthy();
});

test('Cancel ends the sign-in and goes back to the list', async () => {
  const { keyfob, user } = await openPage(given(signingIn()));
  await user.click(button('Cancel'));
  await settle();
  expect(keyfob.asked('cancel')).toEqual([['notion']]);
  expect(screen.getByTestId('list')).toBeTruthy();
});

test('tells why a sign-in could not begin', async () => {
  const { keyfob, user } = await openPage({ snapshot: snapshot([signedOut(null)]) });
  keyfob.let('connect', () => {
    throw offline;
  });
  await user.click(button('Connect: notion'));
  await settle();
  expect(screen.getByRole('alert').textContent).toContain(offline.message);
  expect(primaries()).toEqual(['Try again']);
});
