import { beforeEach, expect, test, vi } from 'vitest';
import { ipc, type ServerChange } from './ipc';

const invoke = vi.fn(() => Promise.resolve('answered'));

beforeEach(() => {
  invoke.mockClear();
  vi.stubGlobal('__TAURI_INTERNALS__', { invoke, transformCallback: () => 7 });
});

const CHANGE: ServerChange = {
  name: 'm',
  url: 'u',
  issuer: '',
  scopes: ['a'],
  headers: [['X-A', 'b']],
  no_headers: ['X-B'],
  allow_guessed_endpoints: false,
  may_sign_out: true,
};

/** What Rust is asked, word for word. */
const WIRE: [() => Promise<unknown>, string, object][] = [
  [() => ipc.snapshot(), 'snapshot', {}],
  [() => ipc.place(), 'place', {}],
  [() => ipc.ready(), 'ready', {}],
  [() => ipc.details('n'), 'details', { name: 'n' }],
  [() => ipc.look('u'), 'look', { url: 'u' }],
  [
    () => ipc.add({ url: 'u', name: null, client_id: 'c', client_secret: null }),
    'add',
    { server: { url: 'u', name: null, client_id: 'c', client_secret: null } },
  ],
  [() => ipc.connect('n'), 'connect', { name: 'n' }],
  [() => ipc.acceptService('n', 'i'), 'accept_service', { name: 'n', issuer: 'i' }],
  [() => ipc.connectAt('n', 'i'), 'connect_at', { name: 'n', issuer: 'i' }],
  [() => ipc.edit('n', CHANGE), 'edit', { name: 'n', change: CHANGE }],
  [() => ipc.identity(), 'identity', {}],
  [() => ipc.checkDocument('u'), 'check_document', { url: 'u' }],
  [() => ipc.useDocument(null), 'use_document', { url: null }],
  [() => ipc.copyDocument('u'), 'copy_document', { url: 'u' }],
  [() => ipc.cancel('n'), 'cancel', { name: 'n' }],
  [() => ipc.tryAnotherWay('n'), 'try_another_way', { name: 'n' }],
  [() => ipc.openAgain('n'), 'open_again', { name: 'n' }],
  [() => ipc.copyLink('n'), 'copy_link', { name: 'n' }],
  [() => ipc.pasteAddress('n', 'a'), 'paste_address', { name: 'n', address: 'a' }],
  [
    () => ipc.useOwnClient('n', 'c', null),
    'use_own_client',
    { name: 'n', clientId: 'c', clientSecret: null },
  ],
  [() => ipc.registerAgain('n'), 'register_again', { name: 'n' }],
  [() => ipc.forgetRegistration('n'), 'forget_registration', { name: 'n' }],
  [() => ipc.retry('n'), 'retry', { name: 'n' }],
  [() => ipc.unlock('n'), 'unlock', { name: 'n' }],
  [() => ipc.turn('n', true), 'turn', { name: 'n', on: true }],
  [() => ipc.refresh('n'), 'refresh', { name: 'n' }],
  [() => ipc.tools('n'), 'tools', { name: 'n' }],
  [() => ipc.signOut('n'), 'sign_out', { name: 'n' }],
  [() => ipc.remove('n'), 'remove', { name: 'n' }],
  [() => ipc.copyAddress('n'), 'copy_address', { name: 'n' }],
  [() => ipc.copyReport('n'), 'copy_report', { name: 'n' }],
  [() => ipc.copySetup('n', 'vs-code'), 'copy_setup', { name: 'n', client: 'vs-code' }],
  [() => ipc.revokeKey('n', 'c'), 'revoke_key', { name: 'n', client: 'c' }],
  [() => ipc.revokeKnownKeys(), 'revoke_known_keys', {}],
  [() => ipc.keepKeys(), 'keep_keys', {}],
  [() => ipc.startAgain(), 'start_again', {}],
  [() => ipc.quit(), 'quit', {}],
];

test.each(WIRE)('%s', async (ask, command, args) => {
  await expect(ask()).resolves.toBe('answered');
  expect(invoke).toHaveBeenCalledExactlyOnceWith(command, args, undefined);
});

test('every command is in the table above', () => {
  const commands = Object.keys(ipc).filter((name) => !name.startsWith('on'));
  expect(WIRE).toHaveLength(commands.length);
});

test('the two events are listened to', async () => {
  await ipc.onStateChanged(() => {});
  await ipc.onShow(() => {});
  const calls = invoke.mock.calls as unknown as [string, { event: string }][];
  expect(calls.map(([command, args]) => [command, args.event])).toEqual([
    ['plugin:event|listen', 'state-changed'],
    ['plugin:event|listen', 'show'],
  ]);
});
