#!/usr/bin/env bash
# build.sh [cli|desktop|all]: the release binaries as they ship, and what they may be linked with.
set -euo pipefail
. "$(dirname "$0")/env.sh"

# Each alone: built together with the testkit they would get the testkit's features too.
desktop() {
  tests/run/ui.sh build
  cargo build --locked --release -p keyfob-desktop
  echo "keyfob-desktop: $(stat -c %s "$KEYFOB_DESKTOP_BIN") bytes"
}

case "${1:-cli}" in
  cli) ;;
  desktop) desktop; exit ;;
  all) desktop ;;
  *) echo "usage: build.sh [cli|desktop|all]" >&2; exit 2 ;;
esac

cargo build --locked --release -p keyfob-cli --bin keyfob

if ldd "$KEYFOB_BIN" | grep -iE 'gtk|webkit|gdk'; then
  echo "keyfob is linked with a desktop library" >&2
  exit 1
fi
echo "keyfob: $(stat -c %s "$KEYFOB_BIN") bytes, neither GTK nor WebKit"
