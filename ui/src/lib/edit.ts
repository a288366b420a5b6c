import { isSignedIn } from './access';
import { asAddress, isSameAddress, isSameOrigin } from './address';
import type { Details, Kind } from './bindings/page';
import type { ServerChange } from './ipc';

/** Chosen where the sign-in service is neither what the server names nor one of those offered. */
export const ANOTHER = 'another';

/** A header that is to be sent along; its value is never read back. */
export type NewHeader = { key: number; name: string; value: string };

/** What the fields of the sheet hold. */
export type Draft = {
  name: string;
  address: string;
  /** Empty for what the server names, one of those offered, or `ANOTHER`. */
  service: string;
  otherService: string;
  scopes: string;
  removed: string[];
  added: NewHeader[];
  allowsGuesses: boolean;
};

/** The fields as they are before anything is typed. */
export function draftOf({ row, entry, services }: Details): Draft {
  const issuer = entry.issuer ?? '';
  const isOffered = issuer === '' || services.includes(issuer);
  return {
    name: row.name,
    address: row.url,
    service: isOffered ? issuer : ANOTHER,
    otherService: isOffered ? '' : issuer,
    scopes: entry.scopes.join(' '),
    removed: [],
    added: [],
    allowsGuesses: entry.allow_guessed_endpoints,
  };
}

/** Whether something is missing without which it cannot be sent. */
export function isIncomplete(draft: Draft): boolean {
  return (
    draft.name.trim() === '' ||
    draft.address.trim() === '' ||
    (draft.service === ANOTHER && draft.otherService.trim() === '') ||
    draft.added.some(({ name, value }) => (name.trim() === '') !== (value === ''))
  );
}

/** The headers whose values are kept and were meant for another place than the address typed. */
export function strayHeaders({ row, entry }: Details, draft: Draft): string[] {
  const address = asAddress(draft.address);
  if (address === null || isSameOrigin(address, row.url)) return [];
  const entered = draft.added
    .filter(({ value }) => value !== '')
    .map(({ name }) => name.trim().toLowerCase());
  return entry.headers.filter(
    (name) => !draft.removed.includes(name) && !entered.includes(name.toLowerCase()),
  );
}

/** What is asked of Keyfob for it. */
export function changeOf(draft: Draft, maySignOut: boolean): ServerChange {
  return {
    name: draft.name.trim(),
    url: whole(draft.address),
    issuer: draft.service === ANOTHER ? whole(draft.otherService) : draft.service,
    scopes: draft.scopes.split(/\s+/).filter((scope) => scope !== ''),
    headers: draft.added
      .filter(({ value }) => value !== '')
      .map(({ name, value }) => [name.trim(), value]),
    no_headers: [...draft.removed],
    allow_guessed_endpoints: draft.allowsGuesses,
    may_sign_out: maySignOut,
  };
}

/** What about a change ends the sign-in that there is, as Keyfob will see it. */
export function endsSignIn(
  details: Details,
  state: Kind,
  change: ServerChange,
): 'address' | 'service' | null {
  if (!isSignedIn(details, state)) return null;
  if (!isSameAddress(change.url, details.row.url)) return 'address';
  const isOther =
    change.issuer !== '' &&
    change.issuer !== details.entry.issuer &&
    change.issuer !== details.registration?.issuer;
  return isOther ? 'service' : null;
}

function whole(typed: string): string {
  return asAddress(typed) ?? typed.trim();
}
