import { screen } from '@testing-library/svelte';
import { expect, test } from 'vitest';
import type { Snapshot } from './lib/bindings/page';
import { everyState, portTaken, row, snapshot } from './test/fixtures';
import { button, openPage, settle } from './test/page';

const at = () => document.querySelector('.sheet')!.getAttribute('data-testid');

test('starts where Keyfob says, and tells once that it is there', async () => {
  const { keyfob } = await openPage({ place: { at: 'details', name: 'granola' } });
  expect(at()).toBe('details');
  await settle(50);
  expect(keyfob.asked('ready')).toEqual([[]]);
});

test('goes where an event leads', async () => {
  const { keyfob } = await openPage();
  keyfob.show({ at: 'add' });
  await settle();
  expect(at()).toBe('add');
  keyfob.show({ at: 'own-client', name: 'notion' });
  await settle();
  expect(at()).toBe('own-client');
  keyfob.show({ at: 'list' });
  await settle();
  expect(at()).toBe('list');
});

test('a state that comes by event is not overwritten by an older answer', async () => {
  const { keyfob, page } = await openPage();
  page.unmount();
  let answer: (old: Snapshot) => void = () => {};
  keyfob.let('snapshot', () => new Promise((resolve) => (answer = resolve)));
  const { render } = await import('@testing-library/svelte');
  const { default: App } = await import('./App.svelte');
  render(App);
  await settle();
  keyfob.change(snapshot([row('new')]));
  answer(snapshot([row('old')]));
  await settle();
  expect(button('new')).toBeTruthy();
  expect(screen.queryByRole('button', { name: 'old' })).toBeNull();
});

test('stops listening when it goes', async () => {
  const { keyfob, page } = await openPage();
  expect(keyfob.listeners()).toBe(2);
  page.unmount();
  await settle();
  expect(keyfob.listeners()).toBe(0);
});

test('Esc goes back step by step, and the focus returns to the server', async () => {
  const { user } = await openPage();
  await user.click(button('granola'));
  await settle();
  expect(document.activeElement).toBe(screen.getByRole('heading', { name: 'granola' }));
  await user.click(button('Use my own client'));
  await settle();
  expect(at()).toBe('own-client');
  await user.keyboard('{Escape}');
  await settle();
  expect(at()).toBe('details');
  await user.keyboard('{Escape}');
  await settle();
  expect(at()).toBe('list');
  expect(document.activeElement).toBe(button('granola'));
  await user.keyboard('{Escape}');
  expect(at()).toBe('list');
});

test('Back does the same', async () => {
  const { user } = await openPage({ place: { at: 'add' } });
  await user.click(button('Back'));
  await settle();
  expect(at()).toBe('list');
});

test('Enter does the primary action, but not in place of what has the focus', async () => {
  const { keyfob, user } = await openPage();
  button('Turn on: figma').focus();
  await user.keyboard('{Enter}');
  await settle();
  expect(keyfob.asked('turn')).toEqual([['figma', true]]);
  expect(at()).toBe('list');
  screen.getByRole('heading', { name: 'Keyfob' }).focus();
  await user.keyboard('{Enter}');
  await settle();
  expect(keyfob.asked('connect')).toEqual([['linear']]);
});

test('says aloud which server stands differently, and nothing of renewals', async () => {
  const { keyfob } = await openPage();
  const said = () => screen.getByTestId('said').textContent;
  keyfob.change(snapshot(everyState.map((one) => (one.name === 'granola' ? { ...one, state: 'refreshing' } : one))));
  await settle();
  expect(said()).toBe('');
  keyfob.change(snapshot());
  await settle();
  expect(said()).toBe('');
  keyfob.change(snapshot(everyState.map((one) => (one.name === 'notion' ? row('notion') : one))));
  await settle();
  expect(said()).toBe('notion: Connected · 12 tools');
});

test('keeps a row where it is while its state changes', async () => {
  const { keyfob } = await openPage();
  const before = document.querySelector('[data-server="granola"]');
  keyfob.change(snapshot(everyState.map((one) => (one.name === 'granola' ? { ...one, text: 'Connected · 13 tools' } : one))));
  await settle();
  expect(document.querySelector('[data-server="granola"]')).toBe(before);
  expect(before!.textContent).toContain('13 tools');
});

test('tells where Keyfob gives no state, and tries again', async () => {
  const { keyfob, user, page } = await openPage();
  page.unmount();
  keyfob.let('snapshot', () => {
    throw portTaken;
  });
  const { render } = await import('@testing-library/svelte');
  const { default: App } = await import('./App.svelte');
  render(App);
  await settle();
  expect(screen.getByRole('alert').textContent).toContain(portTaken.message);
  keyfob.let('snapshot', () => snapshot());
  await user.click(button('Try again'));
  await settle();
  expect(at()).toBe('list');
});
