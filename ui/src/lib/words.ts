import { page } from '../../locales/en.json';
import type { Problem } from './bindings/page';

/** All texts of the page. */
export const words = page;

/** Fills `{name}` places. One without a value stays as it is, so that it is seen. */
export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, key: string) =>
    key in values ? String(values[key]) : whole,
  );
}

/** What a step of the trace did, in plain words. */
export function stepWords(step: string): string {
  const known: Record<string, string> = words.steps;
  return known[step] ?? step;
}

/** The way out of a problem, in the words of the window: it has buttons where others have commands. */
export function remedyOf(problem: Problem): string {
  const own: Record<string, string> = words.remedies;
  const text = own[problem.code];
  return text === undefined ? problem.remedy : fill(text, problem.params);
}
