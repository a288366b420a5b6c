// The reference MCP server (streamable HTTP, no authorization):  npm ci && node server.mjs --port 9900  → :9900/mcp
// It would listen on every interface and trust its environment: here it is kept to loopback and gets none of ours.
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const { values: o } = parseArgs({ options: { port: { type: 'string', default: '9900' } } });
const child = spawn(
  process.execPath,
  ['--import', pathToFileURL(join(here, 'loopback.mjs')).href, join(here, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js'), 'streamableHttp'],
  { env: { PATH: process.env.PATH, PORT: o.port }, stdio: ['ignore', 'ignore', 'inherit'] },
);
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    child.kill();
    process.exit(0);
  });
}
child.on('exit', (code) => process.exit(code ?? 1));

const reachable = () =>
  new Promise((resolve) => {
    const socket = connect(Number(o.port), '127.0.0.1', () => resolve(true) || socket.destroy());
    socket.on('error', () => resolve(false));
  });
while (!(await reachable())) await new Promise((r) => setTimeout(r, 100));
console.log(JSON.stringify({ ready: true, name: 'server-everything', mcp_url: `http://127.0.0.1:${o.port}/mcp` }));
