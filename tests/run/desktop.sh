#!/usr/bin/env bash
# The app in a virtual desktop of its own: window, tray host, keychain, notifications, browser.
# Pictures of the screen at the end of each test are below the target folder in desktop-shots.
# Arguments go to the runner: names of tests, for example.
set -euo pipefail
. "$(dirname "$0")/env.sh"

tests/run/build.sh all
shots=$CARGO_TARGET_DIR/desktop-shots
rm -rf "$shots"
mkdir -p "$shots"
status=0
tests/run/virtual-desktop.sh tests/run/nextest.sh --test desktop --run-ignored all "$@" || status=$?
if [ -e "$shots/figures" ]; then
  sort -u "$shots/figures"
fi
exit $status
