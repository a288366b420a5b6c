// What a launcher's folder asks for, only where it is not there already: `npm ci`, or a venv with its requirements.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const run = (command, args, cwd) => {
  const r = spawnSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (r.status !== 0) throw new Error(`${command} ${args.join(' ')} in ${cwd}: ${(r.stderr || r.error?.message || '').slice(-600)}`);
};
const newer = (stamp, source) => existsSync(stamp) && statSync(stamp).mtimeMs >= statSync(source).mtimeMs;

export function install(dir) {
  const lock = join(dir, 'package-lock.json');
  const stamp = join(dir, 'node_modules/.package-lock.json');
  if (existsSync(lock) && !newer(stamp, lock)) {
    console.error(`npm ci in ${dir}`);
    run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], dir);
  }
  const requirements = join(dir, 'requirements.txt');
  const done = join(dir, '.venv/installed');
  if (existsSync(requirements) && !newer(done, requirements)) {
    console.error(`venv and pip in ${dir}`);
    run('python3', ['-m', 'venv', '.venv'], dir);
    run(join(dir, '.venv/bin/pip'), ['install', '-q', '-r', 'requirements.txt'], dir);
    writeFileSync(done, '');
  }
}
