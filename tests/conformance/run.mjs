#!/usr/bin/env node
// The official conformance suite through the real gateway, held to a floor of passed checks per scenario.
//   node run.mjs [--set auth|backcompat|2025-11-25|2026-07-28] [--results DIR]
// The suite ticks a scenario in which nothing happened ("0 passed, 0 failed"), so its own verdict is not enough:
// floor.json has what reference clients pass at least. expected-below.json ({set: {scenario: reason}}) names what
// does not get there yet; an entry that has become untrue is an error too.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { checksOf, count } from './results.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const suite = join(here, 'suite/node_modules/@modelcontextprotocol/conformance/dist/index.js');
const { values: options } = parseArgs({
  options: {
    set: { type: 'string', multiple: true },
    results: { type: 'string', default: join(process.env.CARGO_TARGET_DIR ?? '/tmp', 'conformance') },
  },
});
const read = (name) => JSON.parse(readFileSync(join(here, name), 'utf8'));
const floors = read('floor.json');
const expectedBelow = read('expected-below.json');
const sets = options.set ?? Object.keys(floors);

if (Number(process.versions.node.split('.')[0]) < 22) {
  console.error(`The suite needs Node 22 or newer; this is ${process.version}.`);
  process.exit(1);
}

const runSuite = (args, out) =>
  new Promise((resolve) => {
    rmSync(out, { recursive: true, force: true });
    mkdirSync(out, { recursive: true });
    const child = spawn(
      process.execPath,
      [suite, 'client', '--command', './client.sh', '--timeout', '60000', '-o', out, ...args],
      { cwd: here, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let said = '';
    child.stdout.on('data', (d) => (said += d));
    child.stderr.on('data', (d) => (said += d));
    child.on('close', () => resolve(said));
  });

// A set is a revision of the specification, or a suite by name.
const isRevision = (set) => /^\d{4}-/.test(set);
const whole = (set) => [isRevision(set) ? '--requirements' : '--suite', set];
const alone = (set, name) => ['--scenario', name, ...(isRevision(set) ? ['--spec-version', set] : [])];

const below = (score, floor) => score.passed < floor || score.failed > 0 || score.warned > 0;
const words = (s) => `${s.passed} passed, ${s.failed} failed${s.warned ? `, ${s.warned} warned` : ''}`;

const unlisted = [];
const stale = [];
let reached = 0;
let excused = 0;
for (const set of sets) {
  if (!floors[set]) {
    console.error(`There is no set ${set}; floor.json has ${Object.keys(floors).join(', ')}.`);
    process.exit(2);
  }
  const began = Date.now();
  const out = join(options.results, set);
  const said = await runSuite(whole(set), out);
  const total = { passed: 0, failed: 0, warned: 0 };
  console.log(`\n${whole(set).join(' ')}`);
  let good = 0;
  for (const [name, floor] of Object.entries(floors[set])) {
    let found = checksOf(out, name);
    let score = count(found.checks);
    let note = '';
    if (below(score, floor)) {
      const first = words(score);
      const again = join(options.results, `${set}-alone`, name);
      await runSuite(alone(set, name), again);
      found = checksOf(again, name);
      score = count(found.checks);
      note = `  (alone; among the others: ${first})`;
    }
    for (const k of Object.keys(total)) total[k] += score[k];
    const short = below(score, floor);
    const reason = expectedBelow[set]?.[name];
    const verdict = short ? (reason ? 'expected' : 'BELOW') : reason ? 'STALE' : 'ok';
    console.log(`  ${verdict.padEnd(8)} ${name.padEnd(40)} ${words(score)} (floor ${floor})${note}${reason ? `  [${reason}]` : ''}`);
    if (!short) good += 1;
    if (verdict === 'BELOW') {
      unlisted.push(`${set} ${name}`);
      for (const c of found.checks.filter((c) => c.status === 'FAILURE' || c.status === 'WARNING')) {
        console.log(`           ${c.status} ${c.id}: ${c.errorMessage ?? c.description ?? ''}`);
      }
      for (const line of found.stderr.trim().split('\n').slice(-8)) console.log(`           | ${line.slice(0, 240)}`);
    } else if (verdict === 'STALE') stale.push(`${set} ${name}`);
    else if (short) excused += 1;
    else reached += 1;
  }
  for (const name of Object.keys(expectedBelow[set] ?? {})) {
    if (!(name in floors[set])) stale.push(`${set} ${name} (no such scenario)`);
  }
  const scenarios = Object.keys(floors[set]).length;
  console.log(`  score: ${good}/${scenarios} scenarios, ${words(total)}, ${((Date.now() - began) / 1000).toFixed(1)} s`);
  const own = said.match(/^Total: .*$/m);
  if (own) console.log(`  the suite's own total, unscored scenarios too: ${own[0].slice(7)}`);
}

if (excused) console.log(`\n${excused} below their floor, as expected-below.json says`);
if (unlisted.length) console.log(`\nbelow the floor and not listed: ${unlisted.join('; ')}\nresults: ${options.results}`);
if (stale.length) console.log(`\nlisted in expected-below.json and no longer true: ${stale.join('; ')}`);
const bad = unlisted.length + stale.length;
console.log(`\nconformance: ${reached} passed, ${bad} failed`);
process.exit(bad ? 1 : 0);
