// Test host for OAuth Client ID Metadata Documents (CIMD). No dependencies.
//
//   node cimd-host.mjs [--port 9443] [--proxy-port 9444] [--certs DIR] [--redirect URI]... [--doc FILE]
//
// HTTPS on 127.0.0.1:port with the certificate from make-ca.sh. The document's client_id is always
// the URL under which it was asked for (Host header + path), so one process serves every name:
//   https://localhost:9443/ok/client.json            (direct)
//   https://client-app.example.com/ok/client.json    (through the CONNECT proxy, port 443 implied)
//
// --proxy-port also starts an HTTP CONNECT proxy on 127.0.0.1 which sends EVERY host:443 to this
// host; an authorization server that is told to fetch through it can then be given a client id that
// looks public, which passes the loopback/SSRF guards that only look at the name.
//
// --doc FILE: serve FILE (JSON, the application's real document) at /app/client.json, with client_id
//             replaced by the request URL; at /appnostore/client.json with Cache-Control: no-store.
//
// Paths (each ends in client.json):
//   /ok/         valid: public client, portless loopback redirect URIs (127.0.0.1, [::1], localhost)
//   /web/        as /ok/ without application_type (oidc-provider then refuses a free loopback port)
//   /fixed/      redirect URIs with a fixed port only (43117): is the loopback port free or not?
//   /mismatch/   client_id inside differs from the URL          -> must be refused
//   /secret/     contains client_secret + client_secret_basic    -> must be refused
//   /redirect/   HTTP 302 to /ok/client.json                     -> must be refused
//   /html/       valid JSON sent as text/html
//   /big/        valid but larger than 5 KiB                     -> must be refused
//   /slow/       answers after 20 s
//   /missing/    HTTP 404
//   /nostore/    valid, Cache-Control: no-store
// GET /__log  the requests so far (JSON);  DELETE /__log  forgets them.
import { createServer as createTls } from 'node:https';
import { createServer } from 'node:http';
import { connect, createServer as createNet } from 'node:net';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const { values: a } = parseArgs({ options: {
  port: { type: 'string', default: '9443' }, 'proxy-port': { type: 'string' },
  certs: { type: 'string', default: join(here, '.certs') },
  redirect: { type: 'string', multiple: true }, doc: { type: 'string' } } });
const port = Number(a.port);
const redirects = a.redirect ?? ['http://127.0.0.1/callback', 'http://[::1]/callback', 'http://localhost/callback'];
let log = [];

const base = (id) => ({
  client_id: id, client_name: 'Interop Test Client', client_uri: new URL('/', id).href,
  redirect_uris: redirects, grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'], token_endpoint_auth_method: 'none', application_type: 'native',
});

const server = createTls({ cert: readFileSync(join(a.certs, 'server.pem')), key: readFileSync(join(a.certs, 'server.key')) }, async (req, res) => {
  const id = `https://${req.headers.host}${req.url}`;
  if (req.url === '/__log') {
    if (req.method === 'DELETE') log = [];
    res.setHeader('content-type', 'application/json'); res.end(JSON.stringify(log)); return;
  }
  log.push({ t: Date.now(), method: req.method, url: id, ua: req.headers['user-agent'], accept: req.headers.accept, inm: req.headers['if-none-match'] });
  const kind = req.url.match(/^\/([a-z]+)\/client\.json$/)?.[1];
  const send = (doc, { type = 'application/json', cache = 'public, max-age=60' } = {}) => {
    res.writeHead(200, { 'content-type': type, 'cache-control': cache }); res.end(JSON.stringify(doc));
  };
  switch (kind) {
    case 'ok': return send(base(id));
    case 'web': { const { application_type: _t, ...d } = base(id); return send(d); }
    case 'app': case 'appnostore': if (!a.doc) break; return send({ ...JSON.parse(readFileSync(a.doc, 'utf8')), client_id: id }, kind === 'app' ? {} : { cache: 'no-store' });
    case 'fixed': return send({ ...base(id), redirect_uris: ['http://127.0.0.1:43117/callback', 'http://localhost:43117/callback'] });
    case 'mismatch': return send({ ...base(id), client_id: id.replace('mismatch', 'ok') });
    case 'secret': return send({ ...base(id), client_secret: 'not-a-secret', token_endpoint_auth_method: 'client_secret_basic' });
    case 'redirect': res.writeHead(302, { location: '/ok/client.json' }); return res.end();
    case 'html': return send(base(id), { type: 'text/html; charset=utf-8' });
    case 'big': return send({ ...base(id), client_name: 'x'.repeat(8000) });
    case 'slow': await new Promise((r) => setTimeout(r, 20000)); return send(base(id));
    case 'nostore': return send(base(id), { cache: 'no-store' });
  }
  res.writeHead(404, { 'content-type': 'application/json' }); res.end('{"error":"not found"}');
});
server.listen(port, '127.0.0.1', () => {
  console.log(JSON.stringify({ ready: true, name: 'cimd-host', client_id: `https://localhost:${port}/ok/client.json`, proxy: a['proxy-port'] ? `http://127.0.0.1:${a['proxy-port']}` : null }));
});
// the same host also on ::1, for resolvers that give localhost -> ::1 first
const v6 = createNet((s) => {
  const up = connect(port, '127.0.0.1');
  s.pipe(up); up.pipe(s); up.on('error', () => s.destroy()); s.on('error', () => up.destroy());
});
v6.on('error', () => {});
v6.listen(port, '::1');
if (a['proxy-port']) {
  const proxy = createServer((req, res) => { res.writeHead(405); res.end('CONNECT only'); });
  proxy.on('connect', (req, sock, head) => {
    log.push({ t: Date.now(), method: 'CONNECT', url: req.url });
    sock.on('error', () => {});
    if (!/:443$/.test(req.url)) { sock.end('HTTP/1.1 403 Forbidden\r\n\r\n'); return; }
    const up = connect(port, '127.0.0.1', () => { sock.write('HTTP/1.1 200 OK\r\n\r\n'); up.write(head); up.pipe(sock); sock.pipe(up); });
    up.on('error', () => sock.destroy());
  });
  proxy.listen(Number(a['proxy-port']), '127.0.0.1');
}
