import { screen } from '@testing-library/svelte';
import { expect, test } from 'vitest';
import { expectAccessible } from '../test/axe';
import { button, openPage, primaries } from '../test/page';

const QUIT = { place: { at: 'quit', connections: 3 } } as const;

test('asks before it ends what others use, and staying is the first choice', async () => {
  const { keyfob, user } = await openPage(QUIT);
  expect(screen.getByText('3 connections go through Keyfob at the moment.')).toBeTruthy();
  expect(primaries()).toEqual(['Keep running']);
  await user.click(button('Quit'));
  expect(keyfob.asked('quit')).toEqual([[]]);
  await expectAccessible();
});

test('staying quits nothing', async () => {
  const { keyfob, user } = await openPage(QUIT);
  await user.click(button('Keep running'));
  expect(keyfob.asked('quit')).toEqual([]);
  expect(screen.getByTestId('list')).toBeTruthy();
});
