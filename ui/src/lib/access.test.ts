import { expect, test } from 'vitest';
import { accessLine, isSignedIn } from './access';
import { NOW, at, details, row } from '../test/fixtures';
import { clock } from './time';

const some = (change: object) => details(row('granola'), change);

test('says when access ends and when it is renewed', () => {
  const line = accessLine(some({}), 'ready', NOW);
  expect(line).toBe(`ends in 41 min · next renewal ${clock(at(41 * 60 - 300), NOW)}`);
});

test('leaves out a renewal that is over or unknown', () => {
  expect(accessLine(some({ renews_at: at(-1) }), 'ready', NOW)).toBe('ends in 41 min');
  expect(accessLine(some({ renews_at: null }), 'ready', NOW)).toBe('ends in 41 min');
});

test('says what has no end, what is over and what is being renewed', () => {
  expect(accessLine(some({ expires_at: null }), 'ready', NOW)).toBe('does not end');
  expect(accessLine(some({ expires_at: at(-1) }), 'ready', NOW)).toBe('renewed with the next request');
  expect(accessLine(some({}), 'refreshing', NOW)).toBe('renewing now');
});

test('knows who is signed in', () => {
  expect(isSignedIn(some({}), 'offline')).toBe(true);
  expect(isSignedIn(some({ refreshed_at: null }), 'ready')).toBe(true);
  expect(isSignedIn(some({ refreshed_at: null }), 'signed-out')).toBe(false);
  expect(isSignedIn(some({ refreshed_at: null }), 'open')).toBe(false);
});
