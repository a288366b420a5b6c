import { expect, test } from 'vitest';
import type { Code } from './bindings/page';
import { fill, remedyOf, stepWords, words } from './words';

test('fills what is given and shows what is not', () => {
  expect(fill('Remove {name}? {more}', { name: 'a{more}' })).toBe('Remove a{more}? {more}');
});

test('an unknown step is shown by its own name', () => {
  expect(stepWords('probe')).toBe('Asked the server');
  expect(stepWords('teleport')).toBe('teleport');
});

test('the texts keep to the house words', () => {
  const texts: string[] = [];
  const walk = (value: unknown) => {
    if (typeof value === 'string') texts.push(value);
    else Object.values(value as object).forEach(walk);
  };
  walk(words);
  expect(texts.length).toBeGreaterThan(100);
  for (const text of texts) expect(text).not.toMatch(/OAuth|RFC|!|\blog ?in\b/i);
});

test('says the way out in the words of the window where Keyfob names a command', () => {
  const refused = {
    code: 'no-registration-route' as const,
    message: 'm',
    remedy: 'keyfob remove x',
    params: { redirect_uri: 'http://127.0.0.1:1/callback' },
  };
  expect(remedyOf(refused)).toContain('http://127.0.0.1:1/callback');
  expect(remedyOf(refused)).not.toContain('keyfob ');
  expect(remedyOf({ ...refused, code: 'timeout' })).toBe('keyfob remove x');
});

test('no way out in the window is a command', async () => {
  const { problems } = await import('../../locales/en.json');
  for (const [code, wording] of Object.entries(problems)) {
    const said = remedyOf({ code: code as Code, message: '', remedy: wording.remedy, params: {} });
    const isForCommands = ['deadline', 'no-client-document', 'unknown-client'];
    if (!isForCommands.includes(code)) expect(said, code).not.toMatch(/keyfob [a-z]|--[a-z]/);
  }
});
