#!/usr/bin/env bash
# The app in a virtual desktop of its own: window, tray host, keychain, notifications, browser.
set -euo pipefail
. "$(dirname "$0")/env.sh"

exec tests/run/virtual-desktop.sh cargo nextest run --locked -p keyfob-tests --test desktop --run-ignored all
