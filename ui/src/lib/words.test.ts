import { expect, test } from 'vitest';
import { fill, stepWords, words } from './words';

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
