#!/bin/sh
# Makes every PNG in this folder anew from the SVGs: 8-bit RGBA, the same bytes each time.
# Needs rsvg-convert (Debian/Ubuntu: package librsvg2-bin; Fedora: librsvg2-tools; Homebrew: librsvg).
set -eu
cd "$(dirname "$0")"

if ! command -v rsvg-convert >/dev/null 2>&1; then
	echo "make.sh: rsvg-convert is missing; on Debian: apt install librsvg2-bin" >&2
	exit 1
fi

for size in 32 64 128 256 512; do
	rsvg-convert -w "$size" -h "$size" -o "app-$size.png" app.svg
done

# The tray glyphs are drawn on 22 units. Whole or half steps keep their edges on whole pixels,
# so each size takes the nearest step and centres it, in place of a blurred stretch:
# tray SIZE DRAWN OFFSET
tray() {
	for name in ok attention trouble idle moving; do
		rsvg-convert -w "$2" -h "$2" --page-width "$1" --page-height "$1" \
			--left="$3" --top="$3" -o "tray-$name-$1.png" "tray-$name.svg"
	done
}
tray 22 22 0
tray 24 22 1
tray 32 33 -0.5
tray 48 44 2
