import type { TraceView } from './bindings/page';

const REFUSED =
  /\b(refused|failed|invalid_\w+|access_denied|denied|timed out|no way left|no answer|unreachable|not opened|not kept|HTTP 5\d\d)\b/i;

/** Whether a step came to nothing, by what is said of its result. The trace marks none itself. */
export function looksRefused(step: TraceView): boolean {
  return REFUSED.test(step.result) || step.decision === 'stopped';
}
