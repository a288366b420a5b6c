/** The address that a text stands for, or null where it does not look like one yet. */
export function asAddress(text: string): string | null {
  const typed = text.trim();
  if (typed === '' || /\s/.test(typed)) return null;
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(typed) ? typed : `https://${typed}`;
  if (!URL.canParse(whole)) return null;
  const url = new URL(whole);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return null;
  return looksWhole(url.hostname) ? whole : null;
}

/** The host of an address, for a line where the whole would not fit. */
export function hostOf(address: string): string {
  return URL.canParse(address) ? new URL(address).host || address : address;
}

/** Whether two addresses are the same one, however they are written. */
export function isSameAddress(one: string, other: string): boolean {
  return normal(one) === normal(other);
}

/** Whether two addresses lead to the same place: scheme, host and port. */
export function isSameOrigin(one: string, other: string): boolean {
  if (!URL.canParse(one) || !URL.canParse(other)) return one === other;
  return new URL(one).origin === new URL(other).origin;
}

function normal(address: string): string {
  return URL.canParse(address) ? new URL(address).href : address;
}

function looksWhole(host: string): boolean {
  return host === 'localhost' || host.startsWith('[') || /.\.[^.]/.test(host);
}
