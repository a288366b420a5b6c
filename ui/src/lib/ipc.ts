import { invoke } from '@tauri-apps/api/core';
import { listen } from '@tauri-apps/api/event';
import type { Changed, Details, Found, Identity, Place, Snapshot, ToolView } from './bindings/page';

/** A server that is to be put on the list; what is null, Keyfob settles itself. */
export type NewServer = {
  url: string;
  name: string | null;
  client_id: string | null;
  client_secret: string | null;
};

/** A server's entry as it is to be; of headers only what changes. */
export type ServerChange = {
  name: string;
  url: string;
  /** Empty where the services that the server names are to be used. */
  issuer: string;
  scopes: string[];
  headers: [name: string, value: string][];
  no_headers: string[];
  allow_guessed_endpoints: boolean;
  may_sign_out: boolean;
};

/** The programs that a ready snippet can be copied for. */
export type SetupClient = 'cursor' | 'vs-code' | 'claude-code' | 'codex' | 'other';

/** All that the page can ask of Keyfob. Every one is rejected with a `Problem`. */
export const ipc = {
  snapshot: () => invoke<Snapshot>('snapshot'),
  place: () => invoke<Place>('place'),
  ready: () => invoke<void>('ready'),
  details: (name: string) => invoke<Details>('details', { name }),
  look: (url: string) => invoke<Found>('look', { url }),
  add: (server: NewServer) => invoke<string>('add', { server }),
  connect: (name: string) => invoke<void>('connect', { name }),
  connectAt: (name: string, issuer: string) => invoke<void>('connect_at', { name, issuer }),
  acceptService: (name: string, issuer: string) =>
    invoke<void>('accept_service', { name, issuer }),
  edit: (name: string, change: ServerChange) => invoke<Changed>('edit', { name, change }),
  identity: () => invoke<Identity>('identity'),
  checkDocument: (url: string) => invoke<void>('check_document', { url }),
  useDocument: (url: string | null) => invoke<void>('use_document', { url }),
  copyDocument: (url: string) => invoke<void>('copy_document', { url }),
  cancel: (name: string) => invoke<void>('cancel', { name }),
  tryAnotherWay: (name: string) => invoke<void>('try_another_way', { name }),
  openAgain: (name: string) => invoke<void>('open_again', { name }),
  copyLink: (name: string) => invoke<void>('copy_link', { name }),
  pasteAddress: (name: string, address: string) =>
    invoke<void>('paste_address', { name, address }),
  useOwnClient: (name: string, clientId: string, clientSecret: string | null) =>
    invoke<void>('use_own_client', { name, clientId, clientSecret }),
  registerAgain: (name: string) => invoke<void>('register_again', { name }),
  forgetRegistration: (name: string) => invoke<void>('forget_registration', { name }),
  retry: (name: string) => invoke<void>('retry', { name }),
  unlock: (name: string) => invoke<void>('unlock', { name }),
  turn: (name: string, on: boolean) => invoke<void>('turn', { name, on }),
  refresh: (name: string) => invoke<void>('refresh', { name }),
  tools: (name: string) => invoke<ToolView[]>('tools', { name }),
  signOut: (name: string) => invoke<string[]>('sign_out', { name }),
  remove: (name: string) => invoke<string[]>('remove', { name }),
  copyAddress: (name: string) => invoke<void>('copy_address', { name }),
  copyReport: (name: string) => invoke<void>('copy_report', { name }),
  copySetup: (name: string, client: SetupClient) =>
    invoke<void>('copy_setup', { name, client }),
  revokeKey: (name: string, client: string) => invoke<void>('revoke_key', { name, client }),
  revokeKnownKeys: () => invoke<void>('revoke_known_keys'),
  keepKeys: () => invoke<void>('keep_keys'),
  startAgain: () => invoke<void>('start_again'),
  quit: () => invoke<void>('quit'),
  /** Calls back with every new state; gives the way to stop that. */
  onStateChanged: (seen: (snapshot: Snapshot) => void) =>
    listen<Snapshot>('state-changed', (event) => seen(event.payload)),
  /** Calls back when the tray or a notification wants a place shown. */
  onShow: (seen: (place: Place) => void) =>
    listen<Place>('show', (event) => seen(event.payload)),
};

export type Ipc = typeof ipc;
