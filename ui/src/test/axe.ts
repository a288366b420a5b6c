import axe from 'axe-core';
import { expect, vi } from 'vitest';

/** Fails with what axe has to say about the page as it stands. */
export async function expectAccessible(): Promise<void> {
  // It waits by timers of its own.
  vi.useRealTimers();
  // jsdom lays nothing out, so colours cannot be judged there.
  const found = await axe.run(document.body, {
    rules: { 'color-contrast': { enabled: false }, region: { enabled: false } },
  });
  expect(found.violations.map((one) => `${one.id}: ${one.nodes.map((n) => n.html).join(' ')}`)).toEqual([]);
  expect(found.passes.length).toBeGreaterThan(5);
}
