// Every launcher's folder brings a cases.json:
//   server   arguments of its server.mjs or server.py
//   probe    arguments of probe.mjs, and fails: how the steps begin that are expected to fail; null: not for the probe
//   keyfob   what Keyfob is expected to do (see run.mjs); absent: not for Keyfob
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');

export const cases = readdirSync(root)
  .filter((d) => existsSync(join(root, d, 'cases.json')))
  .flatMap((d) => JSON.parse(readFileSync(join(root, d, 'cases.json'), 'utf8')).map((c) => ({ folder: d, ...c })));

/** The names that cases use for addresses which depend on the port of the document host. */
export const variables = (host) => ({
  LOCAL_NOSTORE: `https://localhost:${host}/nostore/client.json`,
  LOCAL: `https://localhost:${host}/ok/client.json`,
  NAMED: 'https://client-app.example.com/ok/client.json',
  MAP: `--cimd-map client-app.example.com=127.0.0.1:${host}`,
  PROXY: `http://127.0.0.1:${host + 1}`,
});

export const fill = (text, names) =>
  Object.entries(names)
    .sort(([a], [b]) => b.length - a.length)
    .reduce((t, [k, v]) => t.replaceAll(`$${k}`, v), text)
    .split(' ')
    .filter(Boolean);

export const program = (folder, python) => {
  const cwd = join(root, folder);
  if (!existsSync(join(cwd, 'server.py'))) return { cwd, command: process.execPath, script: 'server.mjs' };
  return { cwd, command: python ?? join(cwd, '.venv/bin/python'), script: 'server.py' };
};
