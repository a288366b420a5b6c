#!/usr/bin/env bash
# What the relay adds to one request, and how many it passes: direct, nginx and Keyfob against the same remote, in one
# run, in turns. relay.sh [--rounds N] [--seconds S]; KEYFOB_BIN names the binary.
set -euo pipefail
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
rounds=5
seconds=3
while [ $# -gt 0 ]; do
  case $1 in
    --rounds) rounds=$2; shift 2 ;;
    --seconds) seconds=$2; shift 2 ;;
    *) echo "usage: relay.sh [--rounds N] [--seconds S]" >&2; exit 2 ;;
  esac
done

work=$(mktemp -d)
started=()
finish() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
upstream=$(free_port)
proxy=$(free_port)
for conf in upstream proxy; do
  sed "s/UPSTREAM/$upstream/; s/PROXY/$proxy/" "$here/$conf.conf" >"$work/$conf.conf"
  nginx -e stderr -p "$work/" -c "$work/$conf.conf" &
  started+=($!)
done

# Keyfob with a credential of the user's own for the server, so that it puts a token in as nginx does.
export KEYFOB_HOME=$work/home
mkdir "$KEYFOB_HOME"
"${KEYFOB_BIN:?names the binary}" serve --store memory --json >"$work/ready" &
started+=($!)
for _ in $(seq 100); do [ -s "$work/ready" ] && break; sleep 0.05; done
gateway=$(jq -r 'select(.event == "ready").gateway' "$work/ready")
printf 'Bearer bench-token\n' | "$KEYFOB_BIN" add --name bench --header Authorization "http://127.0.0.1:$upstream/mcp" >/dev/null
key=$("$KEYFOB_BIN" clients add --json bench-client bench | jq -r .key)

names=(direct nginx keyfob)
declare -A url=([direct]="http://127.0.0.1:$upstream/mcp" [nginx]="http://127.0.0.1:$proxy/mcp" [keyfob]="$gateway/bench")
declare -A authorization=([direct]="Bearer bench-token" [nginx]="" [keyfob]="Bearer $key")

for name in "${names[@]}"; do
  answer=$(curl -sS --retry 5 --retry-connrefused -m 10 -X POST -H 'Content-Type: application/json' \
    -H 'Accept: application/json, text/event-stream' ${authorization[$name]:+-H "Authorization: ${authorization[$name]}"} \
    -d '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"}}}' "${url[$name]}")
  [ "$(jq -r .result.isError <<<"$answer" 2>/dev/null)" = false ] || { echo "$name does not answer as it should: $answer" >&2; exit 1; }
done

# load NAME CONNECTIONS SECONDS: one line of results
load() {
  local line
  line=$(env ${authorization[$1]:+BENCH_AUTHORIZATION="${authorization[$1]}"} \
    wrk -t1 -c"$2" -d"${3}s" -s "$here/request.lua" "${url[$1]}" | tail -1)
  if [ "$(jq .errors <<<"$line")" != 0 ]; then
    echo "$1 answered with errors: $line" >&2
    exit 1
  fi
  jq -c --arg name "$1" --argjson connections "$2" '. + {$name, $connections}' <<<"$line"
}

printf '%s, %s cores; %s; %s; wrk; %s rounds of %s s\n' \
  "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$(nproc)" \
  "$("$KEYFOB_BIN" --version)" "$(nginx -v 2>&1 | sed 's/.*: //')" "$rounds" "$seconds"
for name in "${names[@]}"; do load "$name" 64 1 >/dev/null; done
for ((round = 0; round < rounds; round++)); do
  for connections in 1 64; do
    # Whoever comes first in one round comes last in the next.
    for ((i = 0; i < 3; i++)); do
      name=${names[(i + round) % 3]}
      load "$name" "$connections" "$seconds" | jq -c --argjson round "$round" '. + {$round}' >>"$work/results"
    done
  done
done

jq -rs -f "$here/table.jq" "$work/results" | tee "$work/table"
[ "$(tail -1 "$work/table")" = "within budget" ]
