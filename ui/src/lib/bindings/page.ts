// Made from the Rust types by `KEYFOB_WRITE_BINDINGS=1 cargo nextest run -p keyfob-core bindings`.

export type Action = "connect" | "open-again" | "reconnect" | "review" | "retry" | "unlock" | "turn-on";

export type Badge = { 
/**
 * Which one.
 */
kind: BadgeKind, 
/**
 * What it says: `CIMD`, `DCR`, `Own client`, `No sign-in`.
 */
label: string, 
/**
 * Why, in one sentence.
 */
why: string, };

export type BadgeKind = "cimd" | "dcr" | "own-client" | "no-sign-in";

export type Changed = { 
/**
 * Its name now.
 */
name: string, 
/**
 * What could not be done to end its sign-in.
 */
undone: Array<string>, };

export type Code = "already-running" | "browser-failed" | "callback-timeout" | "cancelled" | "client-document" | "config-invalid" | "consent-denied" | "deadline" | "ends-sign-in" | "exchange-refused" | "grant-expired" | "internal" | "invalid-url" | "issuer-mismatch" | "issuer-slash" | "key-ended" | "metadata-invalid" | "name-taken" | "no-authorization-server" | "no-client-document" | "no-registration-route" | "not-awaited" | "not-mcp" | "offline" | "other-user" | "pkce-unsupported" | "port-taken" | "private-address" | "registration-refused" | "resource-mismatch" | "retry" | "scope-needed" | "server-off" | "service-changed" | "shared-service" | "sign-in-needed" | "sign-in-refused" | "socket-folder" | "timeout" | "tls-untrusted" | "token-not-accepted" | "too-much" | "tool-failed" | "unknown-client" | "unknown-server" | "unreachable" | "unsafe-link" | "usage" | "vault-absent" | "vault-failed" | "vault-locked" | "vault-slow";

export type Details = { 
/**
 * Its line in the list.
 */
row: Row, 
/**
 * The local address, without a key.
 */
address: string, 
/**
 * The granted scopes.
 */
scopes: Array<string>, 
/**
 * The scopes that are wanted on top.
 */
wanted: Array<string>, 
/**
 * How many tools it listed last.
 */
tools: number | null, 
/**
 * When the access token was obtained, RFC 3339 in UTC.
 */
refreshed_at: string | null, 
/**
 * From when on it is renewed.
 */
renews_at: string | null, 
/**
 * When it ends.
 */
expires_at: string | null, 
/**
 * How we are known there.
 */
registration: RegistrationView | null, 
/**
 * The user's own client id, where one is set.
 */
own_client_id: string | null, 
/**
 * The sign-in services that the server names, where there is a choice.
 */
services: Array<string>, 
/**
 * What is set for it, as it may be changed.
 */
entry: Entry, 
/**
 * Who may use it through the gateway.
 */
keys: Array<KeyView>, 
/**
 * The steps of the last sign-in and what came after.
 */
trace: Array<TraceView>, };

export type Entry = { 
/**
 * The sign-in service that is set in place of those that the server names.
 */
issuer: string | null, 
/**
 * The scopes to ask for; none leave it to the server.
 */
scopes: Array<string>, 
/**
 * The names of the headers that are sent along.
 */
headers: Array<string>, 
/**
 * Whether addresses are guessed where they are described nowhere.
 */
allow_guessed_endpoints: boolean, };

export type Found = { 
/**
 * The address, canonical.
 */
url: string, 
/**
 * The name that it would get.
 */
name: string, 
/**
 * Servers on the list with the same address.
 */
known_as: Array<string>, 
/**
 * What it is; absent where it needs no sign-in.
 */
sign_in: FoundSignIn | null, };

export type FoundSignIn = { 
/**
 * Where.
 */
issuer: string, 
/**
 * The rung that would be taken; absent where a client of one's own is needed.
 */
way: BadgeKind | null, 
/**
 * Why this one, in one sentence.
 */
why: string, 
/**
 * What would be asked for.
 */
scopes: Array<string>, 
/**
 * Who will use what is allowed, where that is not the sign-in service's own site.
 */
notice: string | null, };

export type Identity = { 
/**
 * Its URL, where there is one.
 */
url: string | null, 
/**
 * Whether the URL stands in the settings; otherwise it came with this build.
 */
is_set: boolean, 
/**
 * The URL that came with this build.
 */
built_in: string | null, 
/**
 * Whether the port of this Keyfob stands in the document to the letter, which exact services
 * want.
 */
is_port_listed: boolean, };

export type KeyView = { 
/**
 * The client that it was made for.
 */
client: string, 
/**
 * Since when, RFC 3339 in UTC.
 */
made_at: string, 
/**
 * When it was used last.
 */
last_used_at: string | null, 
/**
 * When it ends.
 */
expires_at: string | null, 
/**
 * Whether that is over.
 */
has_ended: boolean, };

export type Kind = "off" | "probing" | "open" | "signed-out" | "signing-in" | "ready" | "refreshing" | "offline" | "needs-scope" | "vault-blocked";

export type Level = "grey" | "green" | "amber" | "red";

export type Place = { "at": "list" } | { "at": "add" } | { "at": "details", 
/**
 * Its name.
 */
name: string, } | { "at": "waiting", 
/**
 * The server's name.
 */
name: string, } | { "at": "own-client", 
/**
 * The server's name.
 */
name: string, } | { "at": "edit", 
/**
 * Its name.
 */
name: string, } | { "at": "identity" } | { "at": "quit", 
/**
 * How many connections are open.
 */
connections: number, };

export type Problem = { 
/**
 * What is wrong.
 */
code: Code, 
/**
 * The sentence: the thing and the cause.
 */
message: string, 
/**
 * The way out.
 */
remedy: string, 
/**
 * What was filled in.
 */
params: { [key in string]: string }, };

export type RegistrationView = { 
/**
 * The rung.
 */
kind: "pre-registered" | "cimd" | "dcr", 
/**
 * The client id.
 */
client_id: string, 
/**
 * The issuer.
 */
issuer: string, 
/**
 * The redirect URI.
 */
redirect_uri: string, 
/**
 * When it was made, RFC 3339 in UTC.
 */
registered_at: string, 
/**
 * Why it is of this kind.
 */
reason: { code: string, text: string }, };

export type Row = { 
/**
 * Its name.
 */
name: string, 
/**
 * Its URL.
 */
url: string, 
/**
 * Its state.
 */
state: Kind, 
/**
 * How much it needs its person.
 */
level: Level, 
/**
 * One short text.
 */
text: string, 
/**
 * Who is signed in, where that is known.
 */
account: string | null, 
/**
 * When it is asked again, RFC 3339 in UTC, while it cannot be reached.
 */
retry_at: string | null, 
/**
 * How Keyfob is known there.
 */
badge: Badge | null, 
/**
 * The one thing to do next.
 */
action: Action | null, 
/**
 * Whether it stands with those that need their person.
 */
needs_attention: boolean, 
/**
 * The sign-in under way.
 */
sign_in: Waiting | null, 
/**
 * Why the last sign-in or look came to nothing.
 */
problem: Problem | null, };

export type Snapshot = { 
/**
 * All servers, in the user's order.
 */
servers: Array<Row>, 
/**
 * Why Keyfob itself does not work, where it does not.
 */
trouble: Problem | null, 
/**
 * What to paste at a provider for a client of one's own, most useful first.
 */
redirect_uris: Array<string>, 
/**
 * Whether this Keyfob has a client document, and so can use CIMD.
 */
has_document: boolean, 
/**
 * Whether sign-ins are gone when Keyfob ends.
 */
keeps_in_memory: boolean, 
/**
 * Clients whose keys another program may have been sent, which had our port.
 */
clients_to_rotate: Array<string>, 
/**
 * What became of the tray icon.
 */
tray: TrayPresence, };

export type ToolView = { 
/**
 * Its name.
 */
name: string, 
/**
 * What it says of itself, cut short.
 */
description: string, };

export type TraceView = { 
/**
 * When, RFC 3339 in UTC.
 */
at: string, 
/**
 * What was done.
 */
step: string, 
/**
 * Whom it concerned.
 */
target: string | null, 
/**
 * What came back.
 */
result: string, 
/**
 * How long it took, in milliseconds.
 */
ms: number | null, 
/**
 * What was decided.
 */
decision: string | null, 
/**
 * Why.
 */
reason: string | null, };

export type TrayPresence = "looking" | "there" | "missing";

export type Waiting = { 
/**
 * Until when, RFC 3339 in UTC; absent until there is a link to open.
 */
until: string | null, 
/**
 * Whether a browser was sent there; otherwise the link is for the person to open.
 */
is_opened: boolean, 
/**
 * The last step.
 */
step: TraceView | null, 
/**
 * Who will use what is allowed, where that is not the sign-in service's own site.
 */
notice: string | null, };
