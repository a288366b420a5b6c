// How a sign-in was registered, told by the servers' own logs and not by Keyfob.
import { request as http } from 'node:http';
import { request as https } from 'node:https';
import { readFileSync } from 'node:fs';

// By hand and not by fetch(), which trusts a CA of ours only when Node was started with it.
const ask = (method, url, ca) =>
  new Promise((resolve, reject) => {
    const secure = url.startsWith('https:');
    const r = (secure ? https : http)(url, { method, agent: false, ...(secure && { ca: readFileSync(ca) }) }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (d) => (text += d));
      answer.on('end', () => resolve(text));
    });
    r.on('error', reject);
    r.end();
  });

export const forget = (documentLog, ca) => ask('DELETE', documentLog, ca);

export async function witness(documentLog, serverLog, ca) {
  const documents = JSON.parse(await ask('GET', documentLog, ca));
  const asked = serverLog ? JSON.parse(await ask('GET', serverLog, ca)) : [];
  const posts = (path) => asked.filter((r) => r.method === 'POST' && path.test(r.path)).length;
  return {
    fetched: documents.filter((r) => r.method === 'GET' && /\/app[a-z]*\/client\.json$/.test(r.url)).length,
    registrations: posts(/\/(reg|register)$/),
    tokens: posts(/\/token$/),
    keepsLog: Boolean(serverLog),
  };
}

export function registration({ fetched, registrations, tokens, keepsLog }) {
  if (registrations > 0) return 'dcr';
  if (fetched > 0) return 'cimd';
  if (tokens > 0) return 'pre-registered';
  return keepsLog ? 'nothing' : 'unseen';
}
