import { screen, within } from '@testing-library/svelte';
import { expect, test } from 'vitest';
import type { Identity } from '../lib/bindings/page';
import { expectAccessible } from '../test/axe';
import { notAsItShouldBe, portTaken, problem, row, snapshot, withoutDocument, details } from '../test/fixtures';
import { button, openPage, primaries, settle } from '../test/page';

const URL = 'https://id.example.com/keyfob/client.json';
const BUILT_IN = 'https://keyfob.example/client.json';
const PLACE = { at: 'identity' } as const;
const none: Identity = { url: null, is_set: false, built_in: null, is_port_listed: true };
const given = (change: Partial<Identity> = {}) => ({ place: PLACE, identity: { ...none, ...change } });
const field = () => screen.getByLabelText<HTMLInputElement>('Choose where it will be published');
const card = () => screen.getByTestId('document').textContent;
const at = () => document.querySelector('.sheet')!.getAttribute('data-testid');

test('is reached from the list, and Esc leads back', async () => {
  const { user } = await openPage();
  await user.click(button('Client document'));
  await settle();
  expect(at()).toBe('identity');
  expect(document.activeElement).toBe(field());
  await user.keyboard('{Escape}');
  await settle();
  expect(at()).toBe('list');
});

test('is not offered where Keyfob does not work', async () => {
  await openPage({ snapshot: snapshot([], { trouble: portTaken }) });
  expect(screen.queryByRole('button', { name: 'Client document' })).toBeNull();
});

test('is reached from where one was missing', async () => {
  const granola = row('granola');
  const missing = {
    snapshot: snapshot([granola], { has_document: false }),
    place: { at: 'details', name: 'granola' } as const,
    details: () => details(granola, { registration: withoutDocument }),
  };
  const { keyfob, user } = await openPage(missing);
  expect(button('Set one up')).toBeTruthy();
  keyfob.change(snapshot([granola]));
  await settle();
  expect(screen.queryByRole('button', { name: 'Set one up' })).toBeNull();
  keyfob.change(missing.snapshot);
  await settle();
  await user.click(button('Set one up'));
  await settle();
  expect(at()).toBe('identity');
});

test('says what it is for, and that none is in use', async () => {
  await openPage(given());
  expect(screen.getByText(/need not register anew at each of them \(CIMD\)/)).toBeTruthy();
  expect(screen.getByText(/registers itself at each service \(DCR\), and that is fine/)).toBeTruthy();
  expect(card()).toContain('None. Keyfob registers itself.');
  expect(screen.queryByRole('button', { name: /Stop|Use the one/ })).toBeNull();
  expect(screen.queryByText(/local port/)).toBeNull();
  expect(primaries()).toEqual(['Check and use']);
  expect(button('Check and use').disabled).toBe(true);
  expect(button('Copy document').disabled).toBe(true);
  await expectAccessible();
});

test('says which came with this Keyfob', async () => {
  await openPage(given({ url: BUILT_IN, built_in: BUILT_IN }));
  expect(card()).toContain(BUILT_IN);
  expect(card()).toContain('It came with this Keyfob.');
  expect(screen.queryByRole('button', { name: /Stop|Use the one/ })).toBeNull();
  expect(field().value).toBe('');
});

test('says which was set, that the port is not listed, and stops using it', async () => {
  const { keyfob, user } = await openPage(given({ url: URL, is_set: true, is_port_listed: false }));
  expect(card()).toContain('It was set here.');
  expect(screen.getByText(/The local port of this Keyfob is not one of those in the document/)).toBeTruthy();
  expect(field().value).toBe(URL);
  keyfob.let('identity', () => none);
  await user.click(button('Stop using it'));
  await settle();
  expect(keyfob.asked('useDocument')).toEqual([[null]]);
  expect(screen.getByText('The document is no longer in use.')).toBeTruthy();
  expect(card()).toContain('None.');
  expect(field().value).toBe('');
  expect(document.activeElement).toBe(field());
  await expectAccessible();
});

test('goes back to the one that came with Keyfob', async () => {
  const { keyfob, user } = await openPage(given({ url: URL, is_set: true, built_in: BUILT_IN }));
  await user.click(button('Use the one that came with Keyfob'));
  expect(keyfob.asked('useDocument')).toEqual([[null]]);
});

test('copies the document for the address, which is then seen whole', async () => {
  const { keyfob, user } = await openPage(given());
  await user.type(field(), 'id.example.com/keyfob/client.json');
  await user.click(button('Copy document'));
  await settle();
  expect(keyfob.asked('copyDocument')).toEqual([[URL]]);
  expect(field().value).toBe(URL);
});

test('checks it, uses it and says so', async () => {
  const { keyfob, user } = await openPage(given());
  let answer = () => {};
  keyfob.let('checkDocument', () => new Promise<void>((resolve) => (answer = resolve)));
  await user.type(field(), `${URL}{Enter}`);
  expect(button('Checking…').disabled).toBe(true);
  expect(keyfob.asked('useDocument')).toEqual([]);
  keyfob.let('identity', () => ({ ...none, url: URL, is_set: true }));
  answer();
  await settle();
  expect(keyfob.asked('checkDocument')).toEqual([[URL]]);
  expect(keyfob.asked('useDocument')).toEqual([[URL]]);
  expect(screen.getByText('The document is in use from your next sign-in on.').role).toBe('status');
  expect(card()).toContain(URL);
});

test('uses nothing where the sheet was left, or something else typed, before it was checked', async () => {
  const { keyfob, user } = await openPage(given());
  let answer = () => {};
  keyfob.let('checkDocument', () => new Promise<void>((resolve) => (answer = resolve)));
  await user.type(field(), `${URL}{Enter}`);
  await user.type(field(), '2');
  answer();
  await settle();
  expect(button('Check and use').disabled).toBe(false);
  await user.keyboard('{Enter}{Escape}');
  answer();
  await settle();
  expect(at()).toBe('list');
  expect(keyfob.asked('checkDocument')).toHaveLength(2);
  expect(keyfob.asked('useDocument')).toEqual([]);
});

test('shows what is wrong with it, and uses it all the same when asked to', async () => {
  const { keyfob, user } = await openPage(given());
  keyfob.let('checkDocument', () => {
    throw notAsItShouldBe;
  });
  await user.type(field(), `${URL}{Enter}`);
  await settle();
  const alert = screen.getByRole('alert');
  expect(alert.textContent).toContain(notAsItShouldBe.message);
  expect(alert.textContent).toContain('Copy the document again and publish it under exactly that address.');
  expect(keyfob.asked('useDocument')).toEqual([]);
  await user.click(within(alert).getByRole('button', { name: 'Use it all the same' }));
  await settle();
  expect(keyfob.asked('useDocument')).toEqual([[URL]]);
  expect(screen.queryByRole('alert')).toBeNull();
});

test('offers nothing of the kind for what cannot be an address of one, or for another address', async () => {
  const { keyfob, user } = await openPage(given());
  const unfit = problem('usage', 'this cannot be a client id: it is no https URL.', 'See: keyfob --help');
  keyfob.let('checkDocument', () => {
    throw unfit;
  });
  await user.type(field(), 'http://id.example.com/x{Enter}');
  await settle();
  expect(screen.getByRole('alert').textContent).toContain('Correct it and try again.');
  expect(screen.queryByRole('button', { name: 'Use it all the same' })).toBeNull();
  keyfob.let('checkDocument', () => {
    throw notAsItShouldBe;
  });
  await user.clear(field());
  await user.type(field(), `${URL}{Enter}`);
  await settle();
  expect(button('Use it all the same')).toBeTruthy();
  await user.type(field(), '2');
  expect(screen.queryByRole('alert')).toBeNull();
});

test('tells where it cannot be copied, used or read', async () => {
  const { keyfob, user } = await openPage(given({ url: URL, is_set: true }));
  for (const [command, press] of [
    ['copyDocument', 'Copy document'],
    ['useDocument', 'Stop using it'],
  ] as const) {
    keyfob.let(command, () => {
      throw problem('config-invalid', `${command} failed.`, 'Look.');
    });
    await user.click(button(press));
    await settle();
    expect(screen.getByRole('alert').textContent).toContain(`${command} failed.`);
    expect(screen.queryByRole('button', { name: 'Use it all the same' })).toBeNull();
    expect(field().value).toBe(URL);
  }
  keyfob.let('identity', () => {
    throw portTaken;
  });
  keyfob.change(snapshot());
  await settle();
  expect(screen.getByRole('alert').textContent).toContain(portTaken.message);
});

test('what changes elsewhere is seen here', async () => {
  const { keyfob } = await openPage(given());
  keyfob.let('identity', () => ({ ...none, url: URL, is_set: true }));
  keyfob.change(snapshot());
  await settle();
  expect(card()).toContain(URL);
});
