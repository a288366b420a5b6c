import type { Row } from './bindings/page';
import { clock } from './time';
import { fill, words } from './words';

/** What stands under a server's name: its text, and what is worth knowing beside it. */
export function secondLine(row: Row, now: number): string {
  if (row.retry_at !== null) {
    const retrying =
      Date.parse(row.retry_at) <= now
        ? words.list.retrying_now
        : fill(words.list.retrying_at, { time: clock(row.retry_at, now) });
    // The text may say without a time what is said here with it.
    return `${row.text.replace(/ · retrying$/, '')} · ${retrying}`;
  }
  return row.account === null ? row.text : `${row.text} · ${row.account}`;
}
