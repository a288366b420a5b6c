import type { Kind, Level } from './bindings/page';

/** The shapes of the status glyph. Each says the same as its colour, for whom colour says little. */
export type Shape = 'check' | 'triangle' | 'cross' | 'hollow' | 'dashed' | 'turning';

/** The shape for a server. */
export function shapeOf(state: Kind, level: Level): Shape {
  if (state === 'signing-in' || state === 'probing') return 'turning';
  if (state === 'offline') return 'dashed';
  switch (level) {
    case 'green':
      return 'check';
    case 'amber':
      return 'triangle';
    case 'red':
      return 'cross';
    case 'grey':
      return 'hollow';
  }
}
