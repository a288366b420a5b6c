import { expect, test } from 'vitest';
import { asAddress, hostOf } from './address';

test.each([
  ['https://mcp.notion.com/mcp', 'https://mcp.notion.com/mcp'],
  ['  mcp.notion.com/mcp ', 'https://mcp.notion.com/mcp'],
  ['http://localhost:8000/mcp', 'http://localhost:8000/mcp'],
  ['http://[::1]:8000/mcp', 'http://[::1]:8000/mcp'],
  ['notion', null],
  ['https://', null],
  ['https://notion', null],
  ['two words.com', null],
  ['file:///etc/passwd', null],
  ['javascript://x.y/', null],
  ['', null],
])('%j stands for %j', (typed, address) => {
  expect(asAddress(typed)).toBe(address);
});

test('a host with its port; other things as they are', () => {
  expect(hostOf('http://127.0.0.1:8080/x')).toBe('127.0.0.1:8080');
  expect(hostOf('the keychain')).toBe('the keychain');
});
