import { afterEach, beforeEach, vi } from 'vitest';

beforeEach(() => {
  // jsdom paints nothing, so its frames are made to come at once.
  vi.stubGlobal('requestAnimationFrame', (frame: FrameRequestCallback) => setTimeout(() => frame(0), 0));
});

afterEach(() => {
  vi.useRealTimers();
});
