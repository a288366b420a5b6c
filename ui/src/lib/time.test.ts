import { expect, test } from 'vitest';
import { clock, countdown, date, span, took } from './time';

const NOW = new Date(2026, 10, 25, 14, 0, 0).getTime();
const later = (seconds: number) => new Date(NOW + seconds * 1000).toISOString();

test('a countdown runs to nought and stays there', () => {
  expect(countdown(later(581), NOW)).toBe('9:41');
  expect(countdown(later(60), NOW)).toBe('1:00');
  expect(countdown(later(9.2), NOW)).toBe('0:10');
  expect(countdown(later(-5), NOW)).toBe('0:00');
});

test('a time of another day says which', () => {
  expect(clock(later(58 * 60), NOW)).toBe('14:58');
  expect(clock(later(86_400), NOW)).toBe('26 Nov, 14:00');
});

test('spans come in the unit that fits', () => {
  expect(span(20_000)).toBe('less than a minute');
  expect(span(41 * 60_000 + 20_000)).toBe('41 min');
  expect(span(3 * 3_600_000)).toBe('3 h');
  expect(span(30 * 86_400_000)).toBe('30 days');
});

test('what is no time is shown as it is', () => {
  expect(date('soon')).toBe('soon');
  expect(date(new Date(2026, 10, 23, 14, 5).toISOString())).toBe('23 Nov 2026, 14:05');
});

test('durations', () => {
  expect(took(38)).toBe('38 ms');
  expect(took(9234)).toBe('9.2 s');
});
