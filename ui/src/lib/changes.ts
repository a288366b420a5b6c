import type { Snapshot } from './bindings/page';
import { fill, words } from './words';

/** What is worth saying aloud of a change: which servers stand differently now. */
export function changesOf(before: Snapshot, after: Snapshot): string {
  const was = new Map(before.servers.map((row) => [row.name, row]));
  return after.servers
    .filter((row) => {
      const old = was.get(row.name);
      return old !== undefined && (old.level !== row.level || old.state !== row.state);
    })
    // A renewal comes and goes and means nothing to anybody.
    .filter((row) => row.state !== 'refreshing' && was.get(row.name)?.state !== 'refreshing')
    .map((row) => fill(words.row_said, { name: row.name, text: row.text }))
    .join('. ');
}
