import type { Changed, Details, Found, Identity, Place, Snapshot } from '../lib/bindings/page';
import { ipc, type Ipc, type ServerChange } from '../lib/ipc';
import { details, found, row, snapshot } from './fixtures';

type Answers = {
  snapshot: Snapshot;
  place: Place;
  details: (name: string) => Details;
  found: Found;
  identity: Identity;
  edited: (name: string, change: ServerChange) => Changed;
};

/** Puts a Keyfob in place of the real one that answers with fixtures and tells what it was asked. */
export function installFakeIpc(given: Partial<Answers> = {}) {
  const heard: {
    state: ((next: Snapshot) => void)[];
    show: ((place: Place) => void)[];
  } = { state: [], show: [] };
  const calls: unknown[][] = [];
  let current = given.snapshot ?? snapshot();

  const say =
    <T>(name: string, answer: (...given: never[]) => T) =>
    (...args: never[]): Promise<T> => {
      calls.push([name, ...args]);
      // An answer that throws is one that is rejected.
      return new Promise((resolve) => resolve(answer(...args)));
    };
  const silent = (name: string) => say(name, () => undefined);
  const rowOf = (name: string) => current.servers.find((one) => one.name === name) ?? row(name);

  const fake = {
    snapshot: say('snapshot', () => current),
    place: say('place', () => given.place ?? ({ at: 'list' } as Place)),
    ready: silent('ready'),
    details: say('details', (name: string) => given.details?.(name) ?? details(rowOf(name))),
    look: say('look', () => given.found ?? found()),
    add: say('add', () => 'notion'),
    connect: silent('connect'),
    connectAt: silent('connectAt'),
    acceptService: silent('acceptService'),
    edit: say(
      'edit',
      (name: string, change: ServerChange) =>
        given.edited?.(name, change) ?? { name: change.name, undone: [] },
    ),
    identity: say(
      'identity',
      () =>
        given.identity ?? { url: null, is_set: false, built_in: null, is_port_listed: true },
    ),
    checkDocument: silent('checkDocument'),
    useDocument: silent('useDocument'),
    copyDocument: silent('copyDocument'),
    cancel: silent('cancel'),
    tryAnotherWay: silent('tryAnotherWay'),
    openAgain: silent('openAgain'),
    copyLink: silent('copyLink'),
    pasteAddress: silent('pasteAddress'),
    useOwnClient: silent('useOwnClient'),
    registerAgain: silent('registerAgain'),
    forgetRegistration: silent('forgetRegistration'),
    retry: silent('retry'),
    unlock: silent('unlock'),
    turn: silent('turn'),
    refresh: silent('refresh'),
    tools: say('tools', () => [
      { name: 'search_notes', description: 'Searches your notes.' },
      { name: 'get_note', description: 'Gives one note, whole, with its attendees.' },
    ]),
    signOut: say('signOut', (): string[] => []),
    remove: say('remove', (): string[] => []),
    copyAddress: silent('copyAddress'),
    copyReport: silent('copyReport'),
    copySetup: silent('copySetup'),
    revokeKey: silent('revokeKey'),
    revokeKnownKeys: silent('revokeKnownKeys'),
    keepKeys: silent('keepKeys'),
    startAgain: silent('startAgain'),
    quit: silent('quit'),
    onStateChanged: (seen: (next: Snapshot) => void) => {
      heard.state.push(seen);
      return Promise.resolve(() => void (heard.state = heard.state.filter((one) => one !== seen)));
    },
    onShow: (seen: (place: Place) => void) => {
      heard.show.push(seen);
      return Promise.resolve(() => void (heard.show = heard.show.filter((one) => one !== seen)));
    },
  } satisfies Record<keyof Ipc, unknown>;
  Object.assign(ipc, fake);

  return {
    calls,
    /** What was asked under that name, one list of arguments each time. */
    asked: (name: keyof Ipc) => calls.filter((call) => call[0] === name).map((call) => call.slice(1)),
    /** Lets a command answer otherwise; one that throws is rejected. */
    let: (name: keyof Ipc, answer: (...args: never[]) => unknown) => {
      Object.assign(ipc, {
        [name]: (...args: never[]) => {
          calls.push([name, ...args]);
          return new Promise((resolve) => resolve(answer(...args)));
        },
      });
    },
    /** A new state. */
    change: (next: Snapshot) => {
      current = next;
      for (const seen of heard.state) seen(next);
    },
    show: (place: Place) => {
      for (const seen of heard.show) seen(place);
    },
    listeners: () => heard.state.length + heard.show.length,
  };
}
