import { expect, test } from 'vitest';
import { details, row } from '../test/fixtures';
import { ANOTHER, changeOf, draftOf, endsSignIn, isIncomplete, strayHeaders } from './edit';

const granola = row('granola');
const SERVICES = ['https://mcp-auth.granola.ai', 'https://login.example.com'];
const given = details(granola, {
  services: SERVICES,
  entry: { issuer: null, scopes: ['a', 'b'], headers: ['X-A'], allow_guessed_endpoints: true },
});
const changed = (change: object) => changeOf({ ...draftOf(given), ...change }, false);

test('what is not touched is sent as it is', () => {
  expect(changeOf(draftOf(given), false)).toEqual({
    name: 'granola',
    url: 'https://mcp.granola.com/mcp',
    issuer: '',
    scopes: ['a', 'b'],
    headers: [],
    no_headers: [],
    allow_guessed_endpoints: true,
    may_sign_out: false,
  });
});

test('a service that is set and not offered stands in the field for others', () => {
  const entry = { ...given.entry, issuer: 'https://elsewhere.example.com' };
  expect(draftOf({ ...given, entry })).toMatchObject({
    service: ANOTHER,
    otherService: 'https://elsewhere.example.com',
  });
  expect(draftOf({ ...given, entry: { ...entry, issuer: SERVICES[1]! } }).service).toBe(SERVICES[1]);
});

test('addresses may be typed without what goes without saying', () => {
  expect(changed({ address: ' mcp.granola.com/v2 ' }).url).toBe('https://mcp.granola.com/v2');
  expect(changed({ service: ANOTHER, otherService: 'login.example.com' }).issuer).toBe('https://login.example.com');
  expect(changed({ address: 'what?' }).url).toBe('what?');
});

test('scopes stand between spaces, headers that were left empty do not count', () => {
  expect(changed({ scopes: '  x   y ' }).scopes).toEqual(['x', 'y']);
  expect(changed({ scopes: ' ' }).scopes).toEqual([]);
  const added = [{ key: 0, name: ' X-B ', value: ' v ' }, { key: 1, name: '', value: '' }];
  expect(changed({ added }).headers).toEqual([['X-B', ' v ']]);
});

test.each([
  [{ name: ' ' }],
  [{ address: '' }],
  [{ service: ANOTHER, otherService: ' ' }],
  [{ added: [{ key: 0, name: 'X-B', value: '' }] }],
  [{ added: [{ key: 0, name: '', value: 'v' }] }],
])('%j lacks something', (change) => {
  expect(isIncomplete({ ...draftOf(given), ...change })).toBe(true);
});

test('nothing is missing otherwise', () => {
  const added = [{ key: 0, name: 'X-B', value: 'v' }, { key: 1, name: '', value: '' }];
  expect(isIncomplete({ ...draftOf(given), added })).toBe(false);
});

test.each([
  ['another name', { name: 'other' }, null],
  ['the same address, written otherwise', { address: 'HTTPS://mcp.granola.com:443/mcp' }, null],
  ['another address', { address: 'https://mcp.granola.com/v2' }, 'address'],
  ['the service of the sign-in', { service: SERVICES[0]! }, null],
  ['another service', { service: SERVICES[1]! }, 'service'],
])('%s ends of the sign-in: %s', (_, change, ends) => {
  expect(endsSignIn(given, 'ready', changed(change))).toBe(ends);
});

test('a service that is set already, or none, ends nothing', () => {
  const set = { ...given, entry: { ...given.entry, issuer: SERVICES[1]! } };
  expect(endsSignIn(set, 'ready', changed({ service: SERVICES[1]! }))).toBeNull();
  expect(endsSignIn(set, 'ready', changed({ service: '' }))).toBeNull();
});

test('where nobody is signed in, nothing ends', () => {
  const out = { ...given, refreshed_at: null };
  expect(endsSignIn(out, 'signed-out', changed({ address: 'https://a.example.com' }))).toBeNull();
  expect(endsSignIn(given, 'offline', changed({ address: 'https://a.example.com' }))).toBe('address');
});

test.each([
  ['the same place', { address: 'mcp.granola.com/v2' }, []],
  ['nothing that is an address yet', { address: 'https://el' }, []],
  ['another host', { address: 'https://mcp.elsewhere.com/mcp' }, ['X-A']],
  ['another scheme', { address: 'http://mcp.granola.com/mcp' }, ['X-A']],
  ['another port', { address: 'https://mcp.granola.com:8443/mcp' }, ['X-A']],
  ['another host, without it', { address: 'elsewhere.com', removed: ['X-A'] }, []],
  ['another host, with a value for it', { address: 'elsewhere.com', added: [{ key: 0, name: ' x-a ', value: 'v' }] }, []],
  ['another host, with another header', { address: 'elsewhere.com', added: [{ key: 0, name: 'X-B', value: 'v' }] }, ['X-A']],
])('headers that stray to %s', (_, change, strays) => {
  expect(strayHeaders(given, { ...draftOf(given), ...change })).toEqual(strays);
});
