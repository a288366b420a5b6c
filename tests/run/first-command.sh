#!/usr/bin/env bash
# The first command of the README, without a display, on a machine that has none of our programs:
# what an earlier build left in the target folder is taken away. The dependencies stay.
set -euo pipefail
. "$(dirname "$0")/env.sh"

for folder in "$CARGO_TARGET_DIR"/{debug,release}{,/examples}; do
  [ ! -d "$folder" ] || find "$folder" -maxdepth 1 -type f -perm -u+x ! -name '*.*' -print -delete
done
exec env -u DISPLAY -u WAYLAND_DISPLAY make --no-print-directory demo
