import { screen } from '@testing-library/svelte';
import { expect, test, vi } from 'vitest';
import { expectAccessible } from '../test/axe';
import { everyState, problem, snapshot } from '../test/fixtures';
import { button, openPage, settle } from '../test/page';

const OWN = { place: { at: 'own-client', name: 'notion' } } as const;
const REDIRECT = 'http://127.0.0.1:15393/callback';
const secret = () => screen.getByLabelText<HTMLInputElement>('Client secret');

test('shows what to enter at the provider and copies it', async () => {
  const { user } = await openPage(OWN);
  const write = vi.spyOn(navigator.clipboard, 'writeText').mockResolvedValue();
  expect(screen.getByText(REDIRECT)).toBeTruthy();
  await user.click(button('Copy redirect address'));
  await settle();
  expect(write).toHaveBeenCalledExactlyOnceWith(REDIRECT);
});

test('selects it where the page may not copy', async () => {
  const { user } = await openPage(OWN);
  vi.spyOn(navigator.clipboard, 'writeText').mockRejectedValue(new Error('not allowed'));
  await user.click(button('Copy redirect address'));
  await settle();
  expect(getSelection()!.toString()).toBe(REDIRECT);
});

test('sends id and secret, forgets the secret and waits for the browser', async () => {
  const { keyfob, user } = await openPage(OWN);
  let answer = () => {};
  keyfob.let('useOwnClient', () => new Promise<void>((resolve) => (answer = resolve)));
  expect(document.activeElement).toBe(screen.getByLabelText('Client ID'));
  expect(secret().type).toBe('password');
  expect(secret().autocomplete).toBe('off');
  await user.type(screen.getByLabelText('Client ID'), ' abc ');
  await user.type(secret(), 's3cret{Enter}');
  expect(keyfob.asked('useOwnClient')).toEqual([['notion', 'abc', 's3cret']]);
  await settle();
  expect(secret().value).toBe('');
  answer();
  await settle();
  expect(screen.getByTestId('waiting')).toBeTruthy();
  expect(keyfob.asked('connect')).toEqual([]);
});

test('follows a sign-in that begins before the command has answered', async () => {
  const { keyfob, user } = await openPage(OWN);
  keyfob.let('useOwnClient', () => new Promise(() => {}));
  await user.type(screen.getByLabelText('Client ID'), 'abc{Enter}');
  const begun = { ...everyState[2]!, name: 'notion' };
  keyfob.change(snapshot([begun]));
  await settle();
  expect(screen.getByTestId('waiting')).toBeTruthy();
});

test('needs an id; the secret may be left out', async () => {
  const { keyfob, user } = await openPage(OWN);
  expect(button('Connect').disabled).toBe(true);
  await user.type(screen.getByLabelText('Client ID'), 'abc');
  await user.click(button('Connect'));
  expect(keyfob.asked('useOwnClient')).toEqual([['notion', 'abc', null]]);
});

test('stays with the reason where it was not taken, without the secret', async () => {
  const { keyfob, user } = await openPage(OWN);
  keyfob.let('useOwnClient', () => {
    throw problem('vault-locked', 'The keychain is locked.', 'Unlock it.');
  });
  await user.type(screen.getByLabelText('Client ID'), 'abc');
  await user.type(secret(), 's3cret{Enter}');
  await settle();
  expect(screen.getByRole('alert').textContent).toContain('Unlock it.');
  expect(secret().value).toBe('');
  await expectAccessible();
});
