import type { KeyView } from './bindings/page';
import { date, span } from './time';
import { fill, words } from './words';

/** The keys of one program for one server, as one line. */
export type KeyLine = { client: string; name: string; text: string };

/** What a program is called: by the name that its maker gives it, where that is known. */
function nameOf(client: string): string {
  const known: Record<string, string> = words.clients;
  return known[client] ?? client;
}

/** Programs in one line: `Cursor, zed`. */
export function clientNames(clients: string[]): string {
  return clients.map(nameOf).join(', ');
}

/** One line a program: it may have several keys, of which the one that lives longest counts. */
export function keyLines(keys: KeyView[], now: number): KeyLine[] {
  const clients = [...new Set(keys.map((key) => key.client))];
  return clients.map((client) => {
    const own = keys.filter((key) => key.client === client);
    return {
      client,
      name: nameOf(client),
      text: [used(own, now), ends(own)].filter((part) => part !== '').join(' · '),
    };
  });
}

function used(keys: KeyView[], now: number): string {
  const last = keys
    .flatMap((key) => (key.last_used_at === null ? [] : [key.last_used_at]))
    .sort()
    .at(-1);
  if (last === undefined) return words.keys.unused;
  return fill(words.keys.used, { span: span(Math.max(0, now - Date.parse(last))) });
}

function ends(keys: KeyView[]): string {
  const all = keys.flatMap((key) => (key.expires_at === null ? [] : [key.expires_at]));
  // One that does not end outlives the others.
  if (all.length < keys.length) return '';
  const last = all.sort().at(-1) ?? '';
  const text = keys.every((key) => key.has_ended) ? words.keys.ended : words.keys.ends;
  return fill(text, { time: date(last) });
}
