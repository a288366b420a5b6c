import { expect, test } from 'vitest';
import { step } from '../test/fixtures';
import { looksRefused } from './trace-mark';

test.each([
  ['HTTP 401', false],
  ['found', false],
  ['cimd', false],
  ['invalid_client: no such client', true],
  ['HTTP 503', true],
  ['no way left', true],
])('%s', (result, isBad) => {
  expect(looksRefused(step('registration', result))).toBe(isBad);
});

test('what was stopped is marked', () => {
  expect(looksRefused(step('server-metadata', 'x', { decision: 'stopped' }))).toBe(true);
});
