// What one scenario left behind: the suite writes DIR/<scenario>-<time>/{checks.json,stdout.txt,stderr.txt}.
import { readFileSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

export function checksOf(dir, scenario) {
  const parent = join(dir, dirname(scenario));
  const own = new RegExp(`^${basename(scenario)}-\\d{4}-\\d\\d-\\d\\dT`);
  let found;
  try {
    found = readdirSync(parent).filter((d) => own.test(d)).sort().at(-1);
  } catch {
    found = undefined;
  }
  const read = (file, otherwise) => {
    try {
      return readFileSync(join(parent, found, file), 'utf8');
    } catch {
      return otherwise;
    }
  };
  if (!found) return { checks: [], stderr: 'the suite left no result' };
  return { checks: JSON.parse(read('checks.json', '[]')), stderr: read('stderr.txt', '') };
}

export function count(checks) {
  const of = (status) => checks.filter((c) => c.status === status).length;
  return { passed: of('SUCCESS'), failed: of('FAILURE'), warned: of('WARNING') };
}
