import { expect, test } from 'vitest';
import { NOW, at, key } from '../test/fixtures';
import { clientNames, keyLines } from './client-keys';
import { date } from './time';

const textOf = (...keys: Parameters<typeof keyLines>[0]) => keyLines(keys, NOW).map((line) => line.text);

test('says when a key was used last', () => {
  expect(textOf(key('zed'))).toEqual(['not used yet']);
  expect(textOf(key('zed', { last_used_at: at(-300) }))).toEqual(['last used 5 min ago']);
  // A clock that was set back.
  expect(textOf(key('zed', { last_used_at: at(60) }))).toEqual(['last used less than a minute ago']);
});

test('says when a key ends or has ended', () => {
  const soon = { expires_at: at(3600) };
  const over = { expires_at: at(-60), has_ended: true };
  expect(textOf(key('zed', soon))).toEqual([`not used yet · ends ${date(at(3600))}`]);
  expect(textOf(key('zed', over))).toEqual([`not used yet · ended ${date(at(-60))}`]);
});

test('shows one line a program, of the key that lives longest', () => {
  const used = { last_used_at: at(-7200) };
  const lines = keyLines(
    [key('cursor', { expires_at: at(60) }), key('zed'), key('cursor', { ...used, expires_at: at(90) })],
    NOW,
  );
  expect(lines).toEqual([
    { client: 'cursor', name: 'Cursor', text: `last used 2 h ago · ends ${date(at(90))}` },
    { client: 'zed', name: 'zed', text: 'not used yet' },
  ]);
  expect(textOf(key('zed', { expires_at: at(60) }), key('zed'))).toEqual(['not used yet']);
});

test('calls programs by their names', () => {
  expect(clientNames(['claude-code', 'zed'])).toBe('Claude Code, zed');
});
