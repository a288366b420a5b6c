/** Moves the focus into the sheet that has just come up: its first field, or its heading. */
export function focusFirst(): void {
  const first =
    document.querySelector<HTMLElement>('[data-first]') ?? document.querySelector<HTMLElement>('h1');
  first?.focus();
}

/** Moves the focus back to the server that was left; to the heading where it is gone. */
export function focusRow(name: string): void {
  const rows = [...document.querySelectorAll<HTMLElement>('[data-row]')];
  const row = rows.find((one) => one.dataset.row === name);
  if (row) row.focus();
  else focusFirst();
}
