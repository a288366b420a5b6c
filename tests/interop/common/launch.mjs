// Starts a launcher and waits for the JSON line {"ready": true, …} that each of them prints; stops it again.
import { spawn } from 'node:child_process';

export const start = (command, args, { cwd, env, wait = 40000 }) =>
  new Promise((resolve, reject) => {
    const process = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    const timer = setTimeout(() => {
      process.kill('SIGKILL');
      reject(new Error(`not ready: ${(err || out).slice(-300)}`));
    }, wait);
    process.stdout.on('data', (d) => {
      out += d;
      const line = out.split('\n').find((l) => /"ready": ?true.*\}$/.test(l));
      if (!line) return;
      clearTimeout(timer);
      resolve({ process, info: JSON.parse(line), said: () => err });
    });
    process.stderr.on('data', (d) => (err += d));
    process.on('error', reject);
    process.on('exit', (code) => {
      clearTimeout(timer);
      reject(new Error(`exit ${code}: ${err.slice(-300)}`));
    });
  });

export const stop = (process) =>
  new Promise((resolve) => {
    if (process.exitCode !== null || process.signalCode !== null) return resolve();
    process.once('exit', resolve);
    process.kill();
    setTimeout(() => process.kill('SIGKILL'), 3000).unref();
  });
