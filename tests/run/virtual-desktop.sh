#!/usr/bin/env bash
# virtual-desktop.sh COMMAND...: runs it in a desktop of its own, on a display that nobody sees, in
# a D-Bus session and a home of its own: nobody's keychain, browser or panel is touched.
set -euo pipefail
. "$(dirname "$0")/env.sh"

if [ "${1:-}" != --inside ]; then
  home=$(mktemp -d /tmp/keyfob-desktop.XXXXXX)
  trap 'rm -rf "$home"' EXIT
  mkdir -m 700 "$home/runtime" "$home/data" "$home/config" "$home/cache"
  # Cargo has to keep finding its own folders although HOME moves.
  export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
  env -u DISPLAY -u WAYLAND_DISPLAY -u DBUS_SESSION_BUS_ADDRESS -u XAUTHORITY \
    HOME="$home" XDG_RUNTIME_DIR="$home/runtime" XDG_DATA_HOME="$home/data" \
    XDG_CONFIG_HOME="$home/config" XDG_CACHE_HOME="$home/cache" \
    XDG_CURRENT_DESKTOP=XFCE NO_AT_BRIDGE=1 \
    dbus-run-session -- "$0" --inside "$@" 3>&2 2>/dev/null
  exit
fi
shift
# The bus itself tells of every service that it starts; nobody reads that.
exec 2>&3 3>&-

ended() {
  kill "${children[@]}" 2>/dev/null || true
}
children=()
trap ended EXIT

# The server chooses a free display and says which.
coproc display { exec Xvfb -displayfd 1 -screen 0 1100x760x24 -nolisten tcp -noreset 2>/dev/null; }
children+=("$display_PID")
read -r number <&"${display[0]}"
export DISPLAY=:$number
# As a session does: what the bus starts finds the display, too.
dbus-update-activation-environment DISPLAY
# The tests end panels and daemons, and check that these are ours.
export KEYFOB_TEST_DESKTOP=1

panel="$XDG_CONFIG_HOME/xfce4/xfconf/xfce-perchannel-xml"
mkdir -p "$panel"
cat >"$panel/xfce4-panel.xml" <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="size" type="uint" value="28"/>
      <property name="plugin-ids" type="array"><value type="int" value="1"/></property>
    </property>
  </property>
  <property name="plugins" type="empty"><property name="plugin-1" type="string" value="systray"/></property>
</channel>
XML

# Unlocks (and the first time makes) the login keyring with an empty password.
printf '\n' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
start() {
  "$@" >/dev/null 2>&1 &
  children+=($!)
  # A test may end it, which this shell need not report.
  disown
}
start openbox
start dunst
xsetroot -solid '#7d8f9b'
start xfce4-panel
# A tray host that is not there yet is a case of its own, and not this one.
for _ in $(seq 100); do
  [[ "$(dbus-send --session --print-reply --dest=org.freedesktop.DBus /org/freedesktop/DBus \
    org.freedesktop.DBus.NameHasOwner string:org.kde.StatusNotifierWatcher 2>/dev/null)" != *"boolean true"* ]] || break
  sleep 0.1
done

"$@"
