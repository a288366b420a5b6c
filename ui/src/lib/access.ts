import type { Details, Kind } from './bindings/page';
import { clock, span } from './time';
import { fill, words } from './words';

/** Whether Keyfob holds a sign-in for the server. */
export function isSignedIn(details: Details, state: Kind): boolean {
  return (
    details.refreshed_at !== null ||
    state === 'ready' ||
    state === 'refreshing' ||
    state === 'needs-scope'
  );
}

/** When access was obtained last, where that is known: `last renewed 14:07`. */
export function renewedLine(details: Details, now: number): string | null {
  if (details.refreshed_at === null) return null;
  return fill(words.access.renewed, { time: clock(details.refreshed_at, now) });
}

/** How long the sign-in's access lasts: `ends in 41 min · next renewal 14:58`. */
export function accessLine(details: Details, state: Kind, now: number): string {
  if (state === 'refreshing') return words.access.renewing;
  if (details.expires_at === null) return words.access.no_end;
  const left = Date.parse(details.expires_at) - now;
  const parts = [
    left > 0 ? fill(words.access.ends_in, { span: span(left) }) : words.access.ended,
  ];
  if (left > 0 && details.renews_at !== null && Date.parse(details.renews_at) > now) {
    parts.push(fill(words.access.next_renewal, { time: clock(details.renews_at, now) }));
  }
  return parts.join(' · ');
}
