import type { Place } from './bindings/page';

/** With which command a sign-in sheet begins, where it begins with one. */
export type Begin = 'connect' | 'open-again';

/** A place on the way through the page, with why the person came there. */
export type Stop = {
  place: Place;
  /** Waiting: what to ask Keyfob first. */
  begin?: Begin;
  /** Details: the sign-in has just worked. */
  isFresh?: boolean;
  /** Details: what could not be done about the sign-in that a change has ended. */
  told?: string[];
};
