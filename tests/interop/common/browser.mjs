#!/usr/bin/env node
// A headless "browser" for consent pages: cookie jar, follows redirects, fills in and submits the first form that is
// not a refusal, and delivers the final redirect to the loopback listener. No dependencies, no JavaScript engine.
//
// As a program (give it to the application under test in place of the real browser, for example BROWSER=... or a
// test hook that runs a command with the authorization URL):
//   NODE_EXTRA_CA_CERTS=.certs/ca.pem node browser.mjs AUTHORIZATION_URL [--user U] [--password P] [--dry]
//   exit 0: the callback got a code; 3: the callback got an error=...; 4: an error page, no callback (as a real
//   user would see it: the application is NOT told). --dry prints the callback URL and does not deliver it.
// As a module: browser({user, password}).go(url, isEnd)
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { fileURLToPath } from 'node:url';

// fetch() says sec-fetch-mode: cors, and some servers then answer JSON in place of a redirect: navigate by hand
const navigate = (u, { method = 'GET', headers, body }) => new Promise((resolve, reject) => {
  const data = body ? String(body) : undefined;
  const req = (u.protocol === 'https:' ? httpsRequest : httpRequest)(u, { method, headers: { ...headers, ...(data && { 'content-length': Buffer.byteLength(data) }) } }, (res) => {
    const chunks = []; res.on('data', (c) => chunks.push(c)); res.on('end', () => resolve({ status: res.statusCode, headers: { get: (k) => [res.headers[k]].flat()[0] ?? null, getSetCookie: () => res.headers['set-cookie'] ?? [] }, text: async () => Buffer.concat(chunks).toString() }));
  });
  req.on('error', reject); req.end(data);
});
// ---- a headless "browser": cookie jar, redirects, fills in the first form of a page ---------
export function browser({ user = 'alice', password = 'alice-password', log = () => {} } = {}) {
  const jar = new Map();
  const cookies = (u) => [...jar.values()].filter((c) => u.hostname === c.host && u.pathname.startsWith(c.path)).map((c) => `${c.name}=${c.value}`).join('; ');
  const keep = (u, r) => { for (const line of r.headers.getSetCookie()) {
    const [nv, ...attrs] = line.split(';'); const i = nv.indexOf('='); const name = nv.slice(0, i).trim(); const value = nv.slice(i + 1).trim();
    let path = '/', dead = false; for (const at of attrs) { const [k, v] = at.trim().split('='); if (/^path$/i.test(k)) path = v; if (/^max-age$/i.test(k) && Number(v) <= 0) dead = true; if (/^expires$/i.test(k) && Date.parse(v) < Date.now()) dead = true; }
    const key = `${u.hostname}|${name}|${path}`; if (dead) jar.delete(key); else jar.set(key, { host: u.hostname, path, name, value }); } };
  return { jar, async go(start, isEnd) {
    let u = new URL(start), init = {}; const trail = [];
    for (let n = 0; n < 25; n++) {
      if (isEnd(u)) { trail.push('-> callback'); return { url: u, trail }; }
      const r = await navigate(u, { ...init, headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8', 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) interop-probe', ...(cookies(u) && { cookie: cookies(u) }), 'sec-fetch-site': n ? 'same-origin' : 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', ...(init.headers ?? {}) } });
      keep(u, r); trail.push(`${init.method ?? 'GET'} ${u.origin}${u.pathname} ${r.status}`);
      const loc = r.headers.get('location');
      if (loc && r.status >= 300 && r.status < 400) { u = new URL(loc, u); init = {}; continue; }
      const html = await r.text();
      const meta = html.match(/http-equiv=["']?refresh["']?[^>]*url=([^"'>]+)/i);
      const forms = [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)];
      const form = forms.find((f) => !/cancel|deny|abort/i.test(f[1])) ?? forms[0];
      if (r.status >= 400 || (!form && !meta)) return { url: null, trail, status: r.status, text: html.replace(/<style[\s\S]*?<\/style>|<script[\s\S]*?<\/script>|<[^>]+>/g, ' ').replace(/\s+/g, ' ').slice(0, 400) };
      if (!form) { u = new URL(meta[1].replace(/&amp;/g, '&'), u); init = {}; continue; }
      const attr = (s, k) => { const m = s.match(new RegExp(`\\b${k}\\s*=\\s*("([^"]*)"|'([^']*)'|([^\\s>]+))`, 'i')); return m ? (m[2] ?? m[3] ?? m[4]).replace(/&amp;/g, '&').replace(/&quot;/g, '"').replace(/&#39;|&#x27;/g, "'").replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&#x3D;/g, '=') : null; };
      const data = new URLSearchParams();
      for (const [tag] of form[2].matchAll(/<input\b[^>]*>/gi)) {
        const name = attr(tag, 'name'); const type = (attr(tag, 'type') ?? 'text').toLowerCase(); if (!name) continue;
        if (type === 'submit') { if (!/deny|cancel|reject|abort/i.test(`${name} ${attr(tag, 'value')}`)) data.set(name, attr(tag, 'value') ?? ''); continue; }
        if (type === 'checkbox' || type === 'radio') { if (!/\bchecked\b/i.test(tag) && type === 'radio') continue; data.append(name, attr(tag, 'value') ?? 'on'); continue; }
        if (type === 'password') data.set(name, password);
        else if (type === 'text' || type === 'email') data.set(name, attr(tag, 'value') || user);
        else data.append(name, attr(tag, 'value') ?? '');
      }
      const buttons = [...form[2].matchAll(/<button\b([^>]*)>/gi)].map(([, tag]) => [attr(tag, 'name'), attr(tag, 'value') ?? '']).filter(([n, v]) => n && !/deny|cancel|reject|abort|logout|^no$/i.test(v));
      const yes = buttons.find(([, v]) => /accept|allow|approve|authorize|yes|continue/i.test(v)) ?? buttons[0];
      if (yes && !data.has(yes[0])) data.set(...yes);
      const method = (attr(form[1], 'method') ?? 'get').toUpperCase();
      const from = u; u = new URL(attr(form[1], 'action') || u.href, u);
      trail.push(`  form ${method} ${u.pathname} [${[...data.keys()].join(',')}]`);
      if (method === 'GET') { u.search = data.toString(); init = {}; } else init = { method, body: data, headers: { 'content-type': 'application/x-www-form-urlencoded', origin: from.origin, referer: from.href } };
    }
    return { url: null, trail, text: 'too many steps' };
  } };
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) {
  const args = process.argv.slice(2), opt = (k) => { const i = args.indexOf(k); return i < 0 ? undefined : args[i + 1]; };
  const start = new URL(args.find((x) => /^https?:/.test(x))), want = start.searchParams.get('redirect_uri');
  // A link that does not name its redirect URI is a one-time link of the application's own listener: the callback is there too.
  const isEnd = (u) => (want ? u.href.split(/[?#]/)[0] === want.split(/[?#]/)[0] : /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(u.hostname) && u.port === start.port && (u.searchParams.has('code') || u.searchParams.has('error')));
  const nav = await browser({ user: opt('--user'), password: opt('--password') }).go(start.href, isEnd);
  for (const t of nav.trail) console.error(t);
  if (!nav.url) { console.error(`no callback: ${nav.status ?? ''} ${nav.text ?? ''}`); process.exit(4); }
  if (args.includes('--dry')) console.log(nav.url.href); else await navigate(nav.url, { headers: { accept: 'text/html' } });
  process.exit(nav.url.searchParams.has('error') ? 3 : 0);
}
