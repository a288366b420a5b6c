import type {
  Badge,
  Code,
  Details,
  Found,
  KeyView,
  Problem,
  RegistrationView,
  Row,
  Snapshot,
  TraceView,
} from '../lib/bindings/page';

export const NOW = Date.parse('2026-11-25T14:17:00Z');

/** A time that many seconds from then. */
export function at(seconds: number): string {
  return new Date(NOW + seconds * 1000).toISOString().replace('.000Z', 'Z');
}

export const cimd: Badge = {
  kind: 'cimd',
  label: 'CIMD',
  why: "The server offers CIMD and accepted Keyfob's document.",
};
export const dcr: Badge = {
  kind: 'dcr',
  label: 'DCR',
  why: 'CIMD was refused (invalid_client), registered with DCR instead.',
};
export const own: Badge = {
  kind: 'own-client',
  label: 'Own client',
  why: 'You have registered a client of your own.',
};
export const noSignIn: Badge = {
  kind: 'no-sign-in',
  label: 'No sign-in',
  why: 'The server asks for no sign-in.',
};

export function problem(code: Code, message: string, remedy: string): Problem {
  return { code, message, remedy, params: {} };
}

export function row(name: string, change: Partial<Row> = {}): Row {
  return {
    name,
    url: `https://mcp.${name}.com/mcp`,
    state: 'ready',
    level: 'green',
    text: 'Connected · 12 tools',
    account: null,
    retry_at: null,
    badge: cimd,
    action: null,
    needs_attention: false,
    sign_in: null,
    problem: null,
    ...change,
  };
}

/** One server in each state, and one that was refused after it had worked. */
export const everyState: Row[] = [
  row('linear', {
    state: 'signed-out',
    level: 'red',
    text: 'Sign in again',
    badge: dcr,
    action: 'reconnect',
    needs_attention: true,
  }),
  row('notion', {
    state: 'signed-out',
    level: 'amber',
    text: 'Sign-in needed',
    badge: null,
    action: 'connect',
    needs_attention: true,
  }),
  row('asana', {
    state: 'signing-in',
    level: 'amber',
    text: 'Waiting for your browser',
    action: 'open-again',
    needs_attention: true,
    sign_in: { until: at(581), is_opened: true, step: null, notice: null },
  }),
  row('github', {
    state: 'needs-scope',
    level: 'amber',
    text: 'More access wanted',
    badge: own,
    action: 'review',
    needs_attention: true,
  }),
  row('jira', {
    state: 'vault-blocked',
    level: 'amber',
    text: 'Keychain is locked',
    action: 'unlock',
    needs_attention: true,
  }),
  row('granola', { account: 'you@example.com' }),
  row('sentry-work', { state: 'refreshing', text: 'Connected', account: 'work' }),
  row('intranet', {
    state: 'offline',
    level: 'grey',
    text: 'Offline · retrying',
    badge: dcr,
    retry_at: at(900),
    action: 'retry',
  }),
  row('docs', { state: 'open', text: 'Connected · no sign-in needed', badge: noSignIn }),
  row('stripe', { state: 'probing', level: 'grey', text: 'Looking', badge: null }),
  row('figma', { state: 'off', level: 'grey', text: 'Off', badge: dcr, action: 'turn-on' }),
];

export function snapshot(servers: Row[] = everyState, change: Partial<Snapshot> = {}): Snapshot {
  return {
    servers,
    trouble: null,
    redirect_uris: ['http://127.0.0.1:15393/callback'],
    has_document: true,
    keeps_in_memory: false,
    clients_to_rotate: [],
    tray: 'there',
    ...change,
  };
}

export function step(name: string, result: string, change: Partial<TraceView> = {}): TraceView {
  return {
    at: at(-600),
    step: name,
    target: 'https://mcp.granola.com/mcp',
    result,
    ms: 38,
    decision: null,
    reason: null,
    ...change,
  };
}

export const trace: TraceView[] = [
  step('probe', 'HTTP 401', { decision: 'a sign-in is needed' }),
  step('resource-metadata', 'found', {
    target: 'https://mcp.granola.com/.well-known/oauth-protected-resource/mcp',
    ms: 61,
  }),
  step('server-metadata', 'found', {
    target: 'https://mcp-auth.granola.ai/.well-known/oauth-authorization-server',
    ms: 61,
  }),
  step('registration', 'cimd', {
    target: 'https://mcp-auth.granola.ai',
    ms: null,
    decision: 'client id https://keyfob.example/client.json',
    reason: 'the server offers CIMD',
  }),
  step('browser', 'waiting', {
    target: 'https://mcp-auth.granola.ai/authorize',
    ms: null,
    decision: 'asking for openid offline_access',
  }),
  step('callback', 'a code', { target: null, ms: 9234 }),
  step('token', 'access and a refresh token', {
    target: 'https://mcp-auth.granola.ai/token',
    ms: 143,
  }),
  step('vault', 'kept', { target: null, ms: 87 }),
];

export function key(client: string, change: Partial<KeyView> = {}): KeyView {
  return {
    client,
    made_at: '2026-11-23T14:05:00Z',
    last_used_at: null,
    expires_at: null,
    has_ended: false,
    ...change,
  };
}

export function details(of: Row, change: Partial<Details> = {}): Details {
  return {
    row: of,
    address: `http://127.0.0.1:15393/${of.name}`,
    scopes: ['openid', 'offline_access', 'notes:read'],
    wanted: [],
    tools: 12,
    refreshed_at: at(-600),
    renews_at: at(41 * 60 - 300),
    expires_at: at(41 * 60 + 20),
    registration: {
      kind: 'cimd',
      client_id: 'https://keyfob.example/client.json',
      issuer: 'https://mcp-auth.granola.ai',
      redirect_uri: 'http://127.0.0.1:15393/callback',
      registered_at: '2026-11-23T14:05:00Z',
      reason: { code: 'offered', text: "The server offers CIMD and accepted Keyfob's document." },
    },
    own_client_id: null,
    services: [],
    entry: { issuer: null, scopes: [], headers: [], allow_guessed_endpoints: false },
    keys: [key('cursor', { last_used_at: at(-300) })],
    trace,
    ...change,
  };
}

export function found(change: Partial<Found> = {}): Found {
  return {
    url: 'https://mcp.notion.com/mcp',
    name: 'notion',
    known_as: [],
    sign_in: {
      issuer: 'https://auth.notion.com/oauth',
      way: 'cimd',
      why: 'The server offers CIMD: Keyfob shows its own document and nothing is registered.',
      scopes: ['read', 'write'],
      notice: null,
    },
    ...change,
  };
}

export const noRoute = problem(
  'no-registration-route',
  'https://auth.notion.com lets in only clients that were registered there by hand.',
  'Register a client of your own at the provider with the redirect address http://127.0.0.1:15393/callback.',
);
export const declined = problem(
  'consent-denied',
  'The sign-in to notion was declined.',
  'Start it again and approve it in the browser.',
);
export const portTaken = problem(
  'port-taken',
  'Port 15393 on this machine, which Keyfob uses, is taken by another program.',
  'End that program, or set another port in ~/.config/keyfob/config.toml (clients then need the new address).',
);
export const offline = problem(
  'offline',
  'notion cannot be reached at the moment.',
  'Check your network; Keyfob tries again by itself.',
);
export const nameTaken = problem(
  'name-taken',
  'There is already a server named docs.',
  'Choose another name with --name.',
);
export const endsSignIn = problem(
  'ends-sign-in',
  'You are signed in to granola, and this change ends that.',
  'To sign out and change it, add --sign-out.',
);
export const notAsItShouldBe = problem(
  'client-document',
  "Keyfob's client document at https://id.example.com/keyfob/client.json is not as it should be: its redirect_uris differs.",
  'Publish what this prints, under exactly that address: keyfob identity print --url https://id.example.com/keyfob/client.json',
);

/** A registration that came about for want of a client document. */
export const withoutDocument: RegistrationView = {
  kind: 'dcr',
  client_id: '3f0c7a52-keyfob',
  issuer: 'https://mcp-auth.granola.ai',
  redirect_uri: 'http://127.0.0.1:15393/callback',
  registered_at: '2026-11-23T14:05:00Z',
  reason: {
    code: 'no-document',
    text: 'The server offers CIMD but this Keyfob has no client document, registered with DCR instead.',
  },
};
