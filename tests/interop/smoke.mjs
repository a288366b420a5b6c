#!/usr/bin/env node
// Runs every launcher with common/probe.mjs and compares with what is expected. One server at a time: when a case of
// run.mjs looks odd, this tells whether the server or Keyfob is the reason.
//   node smoke.mjs [--install] [--only TEXT] [--list] [--base-port 18000] [--wait]     (Node 20+, Python 3.11+)
// --wait: let access tokens expire first (slower).
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cases, fill, program, root, variables } from './common/cases.mjs';
import { install } from './common/install.mjs';
import { start, stop } from './common/launch.mjs';

const { values: o } = parseArgs({
  options: {
    install: { type: 'boolean' },
    only: { type: 'string' },
    list: { type: 'boolean' },
    wait: { type: 'boolean' },
    'base-port': { type: 'string', default: '18000' },
  },
});
const base = Number(o['base-port']);
const names = variables(base);
const wanted = cases.filter((c) => c.probe !== null && (!o.only || `${c.folder} ${c.server} ${c.probe}`.includes(o.only)));
if (o.list) {
  for (const c of wanted) console.log(c.folder, c.server);
  process.exit(0);
}
spawnSync('sh', [join(root, 'common/make-ca.sh')], { stdio: ['ignore', 'ignore', 'inherit'] });
if (o.install) for (const folder of new Set(wanted.map((c) => c.folder))) install(join(root, folder));

const env = { ...process.env, NODE_EXTRA_CA_CERTS: join(root, 'common/.certs/ca.pem') };
const probe = (args) =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [join(root, 'common/probe.mjs'), '--json', ...args], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    child.stdout.on('data', (d) => (text += d));
    child.on('close', () => resolve(JSON.parse(text.slice(text.indexOf('{')))));
  });

const host = await start(process.execPath, [join(root, 'common/cimd-host.mjs'), '--port', String(base), '--proxy-port', String(base + 1)], { env });
let bad = 0;
let port = base + 10;
for (const c of wanted) {
  const { cwd, command, script } = program(c.folder, process.env.INTEROP_PYTHON);
  port += 2;
  let verdict;
  let detail;
  try {
    const server = await start(command, [script, '--port', String(port), ...fill(c.server, names)], { cwd, env });
    try {
      const wait = o.wait && server.info.at_ttl <= 10 ? ['--wait-expiry'] : [];
      const r = await probe([server.info.mcp_url, ...fill(c.probe, names), ...wait]);
      const failed = r.steps.filter((s) => !s.ok);
      const asExpected = failed.length === c.fails.length && c.fails.every((f, i) => failed[i].name.startsWith(f));
      const tools = r.steps.some((s) => s.ok && s.name.includes('tools/list'));
      verdict = asExpected ? 'as expected' : 'DIFFERENT';
      detail = `${r.client}${tools ? ', tools/list ok' : ''}${failed.length ? `, stops at: ${failed.map((s) => s.name).join('; ')}` : ''}`;
      if (!asExpected) {
        bad++;
        detail += ` failed: ${JSON.stringify(failed).slice(0, 500)} ${r.error ?? ''}`;
      }
    } finally {
      await stop(server.process);
    }
  } catch (e) {
    bad++;
    verdict = 'DID NOT RUN';
    detail = e.message;
  }
  console.log(`${verdict.padEnd(12)} ${c.folder} ${c.server}  [${detail}]`);
}
await stop(host.process);
console.log(bad ? `${bad} of ${wanted.length} not as expected` : `all ${wanted.length} as expected`);
process.exit(bad ? 1 : 0);
