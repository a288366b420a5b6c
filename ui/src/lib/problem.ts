import type { Problem } from './bindings/page';
import { words } from './words';

/** What a command was rejected with, as something that can be shown. */
export function asProblem(rejected: unknown): Problem {
  if (isProblem(rejected)) return rejected;
  const cause = rejected instanceof Error ? rejected.message : String(rejected);
  return {
    code: 'internal',
    message: words.problem.unexpected,
    remedy: words.problem.unexpected_remedy,
    params: { cause },
  };
}

/** Whether only a client of the person's own is left. */
export function needsOwnClient(problem: Problem | null): boolean {
  return problem?.code === 'no-registration-route' || problem?.code === 'registration-refused';
}

function isProblem(value: unknown): value is Problem {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Problem).message === 'string' &&
    typeof (value as Problem).remedy === 'string'
  );
}
