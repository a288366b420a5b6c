import { fill, words } from './words';

const clockFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const dayFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const dateFormat = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
});

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The local time of day: `14:58`; with its day where that is another one. */
export function clock(at: string, now: number): string {
  const time = Date.parse(at);
  if (Number.isNaN(time)) return at;
  const text = clockFormat.format(time);
  const isToday = new Date(time).toDateString() === new Date(now).toDateString();
  return isToday ? text : `${dayFormat.format(time)}, ${text}`;
}

/** The local date and time: `23 Nov 2026, 14:05`. */
export function date(at: string): string {
  const time = Date.parse(at);
  return Number.isNaN(time) ? at : dateFormat.format(time);
}

/** How long from now on, in the unit that fits: `41 min`. */
export function span(milliseconds: number): string {
  if (milliseconds < MINUTE) return words.time.less_than_a_minute;
  if (milliseconds < HOUR) {
    return fill(words.time.minutes, { count: Math.floor(milliseconds / MINUTE) });
  }
  if (milliseconds < 2 * DAY) {
    return fill(words.time.hours, { count: Math.floor(milliseconds / HOUR) });
  }
  return fill(words.time.days, { count: Math.floor(milliseconds / DAY) });
}

/** What is left of a countdown: `9:41`. It stops at `0:00`. */
export function countdown(until: string, now: number): string {
  const left = Math.max(0, Math.ceil((Date.parse(until) - now) / 1000));
  if (Number.isNaN(left)) return '';
  return `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`;
}

/** How long something took: `38 ms`, `9.2 s`. */
export function took(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}
