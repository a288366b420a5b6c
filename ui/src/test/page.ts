import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { vi } from 'vitest';
import App from '../App.svelte';
import { installFakeIpc } from './fake-ipc';
import { NOW } from './fixtures';

/** Opens the page over a Keyfob that answers with `given`, at the time of the fixtures. */
export async function openPage(given: Parameters<typeof installFakeIpc>[0] = {}) {
  vi.useFakeTimers({ now: NOW, toFake: ['Date', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  const keyfob = installFakeIpc(given);
  const user = userEvent.setup({ advanceTimers: (ms) => vi.advanceTimersByTime(ms) });
  const page = render(App);
  await settle();
  return { keyfob, user, page };
}

/** Lets everything happen that needs no more time than that. */
export async function settle(ms = 1): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

export const button = (name: string | RegExp) =>
  screen.getByRole<HTMLButtonElement>('button', { name });

/** The labels of all accent-filled buttons. */
export function primaries(): string[] {
  return [...document.querySelectorAll('button.primary')].map((one) => one.textContent!.trim());
}
