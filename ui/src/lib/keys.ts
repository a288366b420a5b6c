const ANSWERS_ENTER = 'button, a, input, select, textarea, summary, [role="button"]';

/** Esc goes back; Enter does the primary action where nothing that answers it has the focus. */
export function onKey(event: KeyboardEvent, back: () => void): void {
  if (event.defaultPrevented || event.isComposing || event.repeat) return;
  if (event.key === 'Escape') {
    event.preventDefault();
    back();
  } else if (event.key === 'Enter' && !(event.ctrlKey || event.metaKey || event.altKey)) {
    if (event.target instanceof Element && event.target.closest(ANSWERS_ENTER)) return;
    const primary = document.querySelector<HTMLButtonElement>('[data-primary]:not(:disabled)');
    if (!primary) return;
    event.preventDefault();
    primary.click();
  }
}
