#!/usr/bin/env node
// Keyfob in front of an ordinary client, against servers that others wrote: a line per case.
//   KEYFOB_BIN=… node run.mjs [--install | --install-only] [--only TEXT] [--skip FOLDER]… [--list] [--base-port 19000]   (Node 20+, Python 3.11+)
// A case says in its cases.json under "keyfob" what has to come of it:
//   is        cimd | dcr | pre-registered | none (a server without sign-in)
//   exit      of `keyfob exec` (0)
//   fetched   whether our document is fetched (where is = cimd); "any" where a server may do either
//   document  local | named | nostore: under which URL our document is known (local)
//   browser   page: consent pages are clicked through; otherwise Keyfob follows the link itself
//   options   further options of `keyfob exec`
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cases, fill, program, root, variables } from './common/cases.mjs';
import { install } from './common/install.mjs';
import { start, stop } from './common/launch.mjs';
import { forget, registration, witness } from './witness.mjs';

const { values: o } = parseArgs({
  options: {
    install: { type: 'boolean' },
    'install-only': { type: 'boolean' },
    only: { type: 'string' },
    skip: { type: 'string', multiple: true, default: [] },
    list: { type: 'boolean' },
    'base-port': { type: 'string', default: '19000' },
  },
});
const wanted = cases.filter((c) => c.keyfob && !o.skip.includes(c.folder) && (!o.only || `${c.folder} ${c.server}`.includes(o.only)));
if (o.list) {
  for (const c of wanted) console.log(c.folder, c.server);
  process.exit(0);
}
const client = join(root, '../conformance/client/client.mjs');
if (o.install || o['install-only']) {
  for (const folder of new Set(wanted.map((c) => c.folder))) install(join(root, folder));
  install(join(root, '../conformance/client'));
}
if (o['install-only']) process.exit(0);
const keyfob = process.env.KEYFOB_BIN;
if (!keyfob) {
  console.error('KEYFOB_BIN names the binary to run');
  process.exit(2);
}
const ca = join(root, 'common/.certs/ca.pem');
spawnSync('sh', [join(root, 'common/make-ca.sh')], { stdio: ['ignore', 'ignore', 'inherit'] });

const base = Number(o['base-port']);
const names = variables(base);
const documents = {
  local: `https://localhost:${base}/app/client.json`,
  nostore: `https://localhost:${base}/appnostore/client.json`,
  named: 'https://client-app.example.com/app/client.json',
};
const temporary = mkdtempSync(join(tmpdir(), 'keyfob-interop-'));
const env = { ...process.env, NODE_EXTRA_CA_CERTS: ca };

const printed = spawnSync(keyfob, ['identity', 'print', '--url', documents.local], { encoding: 'utf8' });
if (printed.status !== 0) {
  console.error(`keyfob identity print: exit ${printed.status} ${printed.stderr}`);
  process.exit(1);
}
const document = join(temporary, 'client.json');
writeFileSync(document, printed.stdout);
const host = await start(process.execPath, [join(root, 'common/cimd-host.mjs'), '--port', String(base), '--proxy-port', String(base + 1), '--doc', document], { env });
const hostLog = `https://localhost:${base}/__log`;
const use = (c, url) =>
  new Promise((resolve) => {
    const args = [
      'exec', '--ephemeral', '--deadline', '60', '--log', 'info', '--ca-file', ca,
      '--browser', c.keyfob.browser === 'page' ? join(root, 'browser.sh') : 'follow',
      '--client-metadata-url', documents[c.keyfob.document ?? 'local'],
      ...(c.keyfob.options ?? '').split(' ').filter(Boolean),
      url, '--', process.execPath, client, '{url}',
    ];
    const child = spawn(keyfob, args, { env: { ...env, DEADLINE_MS: '55000', STRICT: '1' }, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (d) => (out += d));
    child.stderr.on('data', (d) => (err += d));
    child.on('close', (code, signal) => resolve({ exit: code ?? signal, out, err }));
  });
const counted = (out) => {
  const line = out.trim().split('\n').findLast((l) => /^\{"tools":/.test(l));
  return line ? JSON.parse(line) : { tools: 0, calls: 0, failed: 0 };
};

const row = (cells) => console.log(cells.map((c, i) => String(c).padEnd([12, 17, 6, 12, 15, 9, 6][i] ?? 0)).join(' '));
row(['', 'server', 'exit', 'tools/calls', 'registered', 'fetched', 's', 'options']);
let bad = 0;
let port = base + 10;
for (const c of wanted) {
  const { cwd, command, script } = program(c.folder, process.env.INTEROP_PYTHON);
  const want = { exit: 0, fetched: c.keyfob.is === 'cimd', ...c.keyfob };
  port += 2;
  const began = Date.now();
  const label = [c.server, c.keyfob.options, c.keyfob.browser && `(browser: ${c.keyfob.browser})`].filter(Boolean).join(' ');
  try {
    const server = await start(command, [script, '--port', String(port), ...fill(c.server, names)], { cwd, env });
    try {
      await forget(hostLog, ca);
      const used = await use(c, server.info.mcp_url);
      const seen = await witness(hostLog, server.info.log, ca);
      const { tools, calls, failed } = counted(used.out);
      // A server without sign-in, and one that keeps no log, are silent: there the exit code and the calls tell.
      const is = registration(seen);
      const right = [
        used.exit === want.exit,
        want.exit !== 0 || (tools > 0 && calls >= tools && failed === 0),
        is === want.is || (is === 'unseen' && seen.fetched === 0 && want.is !== 'cimd'),
        want.fetched === 'any' || seen.fetched > 0 === want.fetched,
      ].every(Boolean);
      if (!right) bad++;
      row([right ? 'as expected' : 'DIFFERENT', c.folder, used.exit, `${tools}/${calls - failed}`, is === 'unseen' ? `(${want.is})` : is, seen.fetched, ((Date.now() - began) / 1000).toFixed(1), label]);
      if (!right) {
        console.log(`             expected: exit ${want.exit}, ${want.is}, document ${want.fetched ? '' : 'not '}fetched; seen: ${JSON.stringify(seen)}`);
        for (const l of used.err.trim().split('\n').slice(-15)) console.log(`             | ${l.slice(0, 300)}`);
        for (const l of server.said().trim().split('\n').filter(Boolean).slice(-5)) console.log(`             server | ${l.slice(0, 300)}`);
      }
    } finally {
      await stop(server.process);
    }
  } catch (e) {
    bad++;
    row(['DID NOT RUN', c.folder, '', '', '', '', ((Date.now() - began) / 1000).toFixed(1), `${label}  ${e.message}`]);
  }
}
await stop(host.process);
rmSync(temporary, { recursive: true, force: true });
console.log(`\ninterop: ${wanted.length - bad} passed, ${bad} failed`);
process.exit(bad ? 1 : 0);
