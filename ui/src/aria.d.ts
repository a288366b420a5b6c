// ARIA 1.3 has it, the types of Svelte do not yet.
import 'svelte/elements';

declare module 'svelte/elements' {
  interface AriaAttributes {
    'aria-description'?: string | null | undefined;
  }
}
