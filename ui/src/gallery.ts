// Shows any sheet with invented data, for looking at: /gallery.html#list, or several at once with
// /gallery.html#list,details,waiting. ?w=360&h=480 makes them
// another size, ?axe judges one. Not in the build.
import './tokens.css';
import './base.css';
import { mount, tick } from 'svelte';
import App from './App.svelte';
import type { Identity, Place, Problem, Snapshot } from './lib/bindings/page';
import type { Ipc } from './lib/ipc';
import { installFakeIpc } from './test/fake-ipc';
import * as given from './test/fixtures';

const LONG = 'acme-production-eu-central-with-a-very-long-name';
const SCOPES = Array.from({ length: 14 }, (_, at) => `https://www.example.com/auth/scope.number-${at}`);

const soon = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
const waiting = (change: object = {}) =>
  given.row('notion', {
    state: 'signing-in',
    level: 'amber',
    text: 'Waiting for your browser',
    action: 'open-again',
    needs_attention: true,
    sign_in: { until: soon(581), is_opened: true, step: null, notice: null, ...change },
  });
const granola = given.row('granola', { account: 'you@example.com' });
const long = given.row(LONG, {
  account: 'a.person.with.a.long.name@subsidiary.example.com',
  text: 'Connected · 128 tools',
});
const fresh = { expires_at: soon(2500), renews_at: soon(2200), refreshed_at: soon(-600) };

type Shown = {
  snapshot?: Snapshot;
  place?: Place;
  details?: object;
  found?: object;
  identity?: Identity;
  refused?: { [command in keyof Ipc]?: Problem };
  then?: () => void;
};

function press(text: string) {
  const buttons = [...document.querySelectorAll<HTMLElement>('button, summary')];
  buttons.find((one) => one.textContent?.trim().startsWith(text))?.click();
}

function type(address: string, into = '[data-testid="address"]') {
  const input = document.querySelector<HTMLInputElement>(into);
  if (!input) return;
  input.dispatchEvent(new Event('paste', { bubbles: true }));
  input.value = address;
  input.dispatchEvent(new Event('input', { bubbles: true }));
}

const of = (name: string) => ({ at: 'details', name }) as const;
const edit = (name: string) => ({ at: 'edit', name }) as const;
const SERVICES = [
  'https://mcp-auth.granola.ai',
  'https://login.example.com/00000000-1111-2222-3333-444444444444/v2.0',
];
const ENTRY = { issuer: null, scopes: ['openid', 'notes:read'], headers: ['X-Workspace', 'X-Api-Version'], allow_guessed_endpoints: false };
const DOCUMENT = 'https://id.example.com/keyfob/client.json';
const SHEETS: Record<string, () => Shown> = {
  list: () => ({}),
  calm: () => ({ snapshot: given.snapshot([granola, given.row('sentry-work'), given.everyState[8]!]) }),
  'list-long': () => ({
    snapshot: given.snapshot(
      [{ ...given.everyState[0]!, name: `${LONG}-2` }, long, ...given.everyState.slice(1)],
      { tray: 'missing', keeps_in_memory: true },
    ),
  }),
  empty: () => ({ snapshot: given.snapshot([], { tray: 'missing' }) }),
  'keys-known': () => ({ snapshot: given.snapshot(undefined, { clients_to_rotate: ['cursor', 'claude-code', 'zed'] }) }),
  trouble: () => ({ snapshot: given.snapshot(undefined, { trouble: given.portTaken }) }),
  details: () => ({ snapshot: given.snapshot([granola]), place: of('granola') }),
  'details-long': () => ({
    snapshot: given.snapshot([long]),
    place: of(LONG),
    details: { scopes: SCOPES, tools: 128 },
    then: () => press('Show tools'),
  }),
  'details-wanted': () => ({
    snapshot: given.snapshot(),
    place: of('github'),
    details: { wanted: ['repo', 'workflow'] },
  }),
  'details-failed': () => ({
    snapshot: given.snapshot([{ ...given.everyState[1]!, problem: given.noRoute }]),
    place: of('notion'),
    details: {
      registration: null, scopes: [], tools: null, refreshed_at: null, expires_at: null, renews_at: null,
      trace: [...given.trace.slice(0, 3), given.step('registration', 'no way left', { ms: null, decision: 'a client of your own is needed' })],
    },
  }),
  'details-remove': () => ({
    snapshot: given.snapshot([granola]),
    place: of('granola'),
    then: () => press('Remove'),
  }),
  'details-off': () => ({ snapshot: given.snapshot(), place: of('figma') }),
  'details-open': () => ({
    snapshot: given.snapshot(), place: of('docs'),
    details: { registration: null, scopes: [], refreshed_at: null, expires_at: null, renews_at: null, trace: given.trace.slice(0, 1) },
  }),
  'details-retry': () => ({ snapshot: given.snapshot(), place: of('intranet') }),
  add: () => ({ place: { at: 'add' } }),
  'add-found': () => ({ place: { at: 'add' }, then: () => type('https://mcp.notion.com/mcp') }),
  'add-own': () => ({
    place: { at: 'add' },
    found: {
      known_as: ['notion', 'notion-work'],
      sign_in: { issuer: 'https://auth.notion.com', way: null, why: 'The sign-in service lets in only clients that were registered there by hand.', scopes: SCOPES, notice: null },
    },
    then: () => { type('https://mcp.notion.com/mcp'); setTimeout(() => press('I have'), 200); },
  }),
  'add-open': () => ({
    place: { at: 'add' },
    found: { url: 'https://docs.example.com/mcp', name: 'docs', sign_in: null },
    then: () => type('docs.example.com/mcp'),
  }),
  waiting: () => ({ snapshot: given.snapshot([waiting()]), place: { at: 'waiting', name: 'notion' } }),
  'waiting-paste': () => ({
    snapshot: given.snapshot([waiting()]),
    place: { at: 'waiting', name: 'notion' },
    then: () => press('Paste'),
  }),
  'waiting-copy': () => ({
    snapshot: given.snapshot([waiting({ is_opened: false })]),
    place: { at: 'waiting', name: 'notion' },
  }),
  preparing: () => ({
    snapshot: given.snapshot([waiting({ until: null, is_opened: false, step: given.trace[1] })]),
    place: { at: 'waiting', name: 'notion' },
  }),
  failed: () => ({
    snapshot: given.snapshot([{ ...given.everyState[1]!, problem: given.noRoute }]),
    place: { at: 'waiting', name: 'notion' },
  }),
  declined: () => ({
    snapshot: given.snapshot([{ ...given.everyState[1]!, problem: given.declined }]),
    place: { at: 'waiting', name: 'notion' },
  }),
  'details-services': () => ({
    snapshot: given.snapshot([granola]), place: of('granola'),
    details: { services: SERVICES },
    then: () => document.querySelector('[data-testid="services"]')?.scrollIntoView({ block: 'end' }),
  }),
  'details-no-document': () => ({
    snapshot: given.snapshot([{ ...granola, badge: given.dcr }], { has_document: false }), place: of('granola'),
    details: { registration: given.withoutDocument },
  }),
  edit: () => ({ snapshot: given.snapshot([granola]), place: edit('granola'), details: { entry: { ...ENTRY, headers: [] } } }),
  'edit-long': () => ({
    snapshot: given.snapshot([{ ...long, url: `https://mcp.${LONG}.example.com/a/path/that/goes/on/mcp` }]),
    place: edit(LONG),
    details: {
      services: SERVICES,
      entry: { issuer: SERVICES[1], scopes: SCOPES, headers: [`X-${LONG}-${LONG}`, 'X-Workspace'], allow_guessed_endpoints: true },
    },
    then: () => { press('Remove'); press('Add a header'); },
  }),
  'edit-other': () => ({
    snapshot: given.snapshot([granola]), place: edit('granola'),
    details: { entry: { ...ENTRY, issuer: 'https://login.example.com' } },
    then: () => type('granola-work', '#name'),
  }),
  'edit-asks': () => ({
    snapshot: given.snapshot([granola]), place: edit('granola'), details: { entry: ENTRY },
    then: () => { type('https://mcp.elsewhere.com/mcp', '#address'); press('Save'); },
  }),
  'edit-refused': () => ({
    snapshot: given.snapshot([granola]), place: edit('granola'), details: { entry: ENTRY },
    refused: { edit: given.nameTaken },
    then: () => { type('docs', '#name'); press('Save'); },
  }),
  identity: () => ({ place: { at: 'identity' } }),
  'identity-set': () => ({
    place: { at: 'identity' },
    identity: { url: DOCUMENT, is_set: true, built_in: 'https://keyfob.example/client.json', is_port_listed: false },
  }),
  'identity-built-in': () => ({
    place: { at: 'identity' },
    identity: { url: 'https://keyfob.example/client.json', is_set: false, built_in: 'https://keyfob.example/client.json', is_port_listed: true },
  }),
  'identity-used': () => ({
    place: { at: 'identity' },
    identity: { url: DOCUMENT, is_set: true, built_in: null, is_port_listed: true },
    then: () => press('Check and use'),
  }),
  'identity-failed': () => ({
    place: { at: 'identity' },
    refused: { checkDocument: given.notAsItShouldBe },
    then: () => { type(DOCUMENT, '#document-url'); setTimeout(() => press('Check and use'), 100); },
  }),
  own: () => ({
    snapshot: given.snapshot(undefined, {
      redirect_uris: ['http://127.0.0.1:15393/callback', 'http://localhost:15393/callback'],
    }),
    place: { at: 'own-client', name: 'notion' },
  }),
};

/** Leaves what axe finds in the document, for a run without eyes. */
async function judge() {
  const { default: axe } = await import('axe-core');
  const found = await axe.run(document.body, { rules: { region: { enabled: false } } });
  const said = document.createElement('pre');
  said.id = 'axe';
  said.textContent = JSON.stringify(found.violations.map((one) => [one.id, one.nodes.map((n) => n.html)]));
  document.body.append(said);
}

const names = location.hash.slice(1).split(',').filter(Boolean);
const asked = new URLSearchParams(location.search);

if (names.length === 1) {
  if (asked.has('axe')) setTimeout(() => void judge(), 1500);
  const shown = SHEETS[names[0]!]?.() ?? {};
  const now = given.snapshot();
  const keyfob = installFakeIpc({
    snapshot: shown.snapshot ?? now,
    place: shown.place ?? { at: 'list' },
    details: (name) => {
      const row = (shown.snapshot ?? now).servers.find((one) => one.name === name);
      return given.details(row ?? given.row(name), { ...fresh, ...shown.details });
    },
    found: given.found(shown.found),
    ...(shown.identity && { identity: shown.identity }),
  });
  for (const [command, problem] of Object.entries(shown.refused ?? {})) {
    keyfob.let(command as keyof Ipc, () => {
      throw problem;
    });
  }
  mount(App, { target: document.getElementById('page')! });
  if (shown.then) setTimeout(() => void tick().then(shown.then), 300);
} else {
  const page = document.getElementById('page')!;
  page.style.cssText = 'display:flex;flex-wrap:wrap;gap:16px;padding:16px;background:#8884;align-content:start';
  for (const name of names.length > 0 ? names : Object.keys(SHEETS)) {
    const frame = document.createElement('iframe');
    frame.title = name;
    frame.src = `/gallery.html#${name}`;
    frame.style.cssText = `border:0;width:${asked.get('w') ?? 420}px;height:${asked.get('h') ?? 640}px`;
    page.append(frame);
  }
}
