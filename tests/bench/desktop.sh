#!/usr/bin/env bash
# What the app costs beside a bare Tauri app with a tray icon, in one run, in a virtual desktop.
set -euo pipefail
. "$(dirname "$0")/../run/env.sh"

if [ "${1:-}" != --inside ]; then
  tests/run/build.sh desktop
  cargo build --locked --release -p keyfob-desktop --example bare
  exec tests/run/virtual-desktop.sh "$0" --inside
fi

bare=$CARGO_TARGET_DIR/release/examples/bare
home=$(mktemp -d)
log=$home/log
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$home"' EXIT

# memory PID: PSS and private dirty memory in KiB.
memory() { awk '/^Pss:/ {p=$2} /^Private_Dirty:/ {d=$2} END {printf "%d KiB PSS, %d KiB private dirty", p, d}' "/proc/$1/smaps_rollup"; }
pss() { awk '/^Pss:/ {print $2}' "/proc/$1/smaps_rollup"; }
ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }
logged() { grep -oE "$1 ms=[0-9]+|ms=[0-9]+ .*$1" "$log" | grep -oE 'ms=[0-9]+' | tail -n 1 | tr -d 'ms='; }
await() {
  for _ in $(seq 200); do
    ! grep -q "$1" "$log" || return 0
    sleep 0.05
  done
  echo "the app did not say: $1" >&2
  cat "$log" >&2
  exit 1
}

# Without this, only root could read what the app needs.
export KEYFOB_DEBUGGABLE=1
"$bare" >/dev/null 2>&1 &
bare_pid=$!
KEYFOB_HOME=$home/keyfob "$KEYFOB_DESKTOP_BIN" --hidden --log info 2>>"$log" &
app_pid=$!
await 'gateway listening'
await 'tray icon shown'
sleep 10
echo "start to gateway listening: $(logged 'gateway listening') ms (budget 150)"
echo "start to tray registered:   $(logged 'tray icon shown') ms (budget 400)"
echo "bare Tauri + ksni, no window: $(memory $bare_pid)"
echo "keyfob-desktop, no window:    $(memory $app_pid)"
echo "above the bare one:           $(($(pss $app_pid) - $(pss $bare_pid))) KiB PSS (budget 5120)"
before=$(ticks $app_pid)
sleep 20
echo "idle: $(($(ticks $app_pid) - before)) of 2000 ticks of a core in 20 s (budget 2)"
for round in 1 2 3 4 5; do
  : >"$log"
  KEYFOB_HOME=$home/keyfob "$KEYFOB_DESKTOP_BIN"
  await 'window painted'
  echo "click to painted list, $round: $(logged 'window painted') ms (budget 400)"
  sleep 1
  xdotool search --name '^Keyfob$' windowquit 2>/dev/null || xdotool search --name '^Keyfob$' windowclose
  for _ in $(seq 100); do
    [ -n "$(pgrep -P $app_pid WebKitWebProces || true)" ] || break
    sleep 0.1
  done
done
sleep 3
left=$(pgrep -P $app_pid WebKitWebProces | wc -l || true)
echo "web processes after the window is closed: $left"
echo "keyfob-desktop after that: $(memory $app_pid)"
