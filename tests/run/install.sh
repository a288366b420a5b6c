#!/usr/bin/env bash
# install.sh test|lint|demo|run|interop|bench|pictures|soak|package: installs what that job needs and this machine lacks.
set -euo pipefail
. "$(dirname "$0")/env.sh"

need_packages=()
# want COMMAND PACKAGE...
want() {
  local command=$1
  shift
  command -v "$command" >/dev/null || need_packages+=("$@")
}

install_packages() {
  [ ${#need_packages[@]} -gt 0 ] || return 0
  if ! command -v apt-get >/dev/null; then
    echo "These Debian packages, or your system's counterparts, are needed: ${need_packages[*]}" >&2
    exit 1
  fi
  echo "installing packages: ${need_packages[*]}"
  local sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  local log
  log=$(mktemp)
  if ! { $sudo apt-get update -qq &&
    $sudo env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "${need_packages[@]}"; } </dev/null >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    exit 1
  fi
  rm -f "$log"
}

rust() {
  if ! command -v cargo >/dev/null; then
    echo "No Rust toolchain found. Install 1.90 or newer (https://rustup.rs) and run this again." >&2
    exit 1
  fi
}

component() {
  cargo "$1" --version >/dev/null 2>&1 && return
  echo "installing the Rust component $2"
  rustup component add "$2"
}

# cargo_tool NAME VERSION: pinned, so that a new release cannot break an old commit.
cargo_tool() {
  command -v "cargo-$1" >/dev/null && return
  echo "installing cargo-$1 $2 (built from source, this takes minutes)"
  # Not in the shared target folder: nothing of a tool's build is used again.
  env -u CARGO_TARGET_DIR cargo install --locked "cargo-$1@$2"
}

# Debian 12 has Node 18; the suite brings a newer one along from npm.
node() { want node nodejs; want npm npm; }

compiler() {
  want cc build-essential
  want pkg-config pkg-config
  [ -e /etc/ssl/certs/ca-certificates.crt ] || need_packages+=(ca-certificates)
}

lint_tools() {
  component fmt rustfmt
  component clippy clippy
  cargo_tool deny 0.20.2
}

# library PKG-CONFIG-NAME PACKAGE...
library() {
  local name=$1
  shift
  pkg-config --exists "$name" 2>/dev/null || need_packages+=("$@")
}

# What the app is built with.
desktop_libraries() {
  library webkit2gtk-4.1 libwebkit2gtk-4.1-dev
  library librsvg-2.0 librsvg2-dev
}

# A desktop without a display: windows, a tray host, notifications, browsers and their drivers.
virtual_desktop() {
  want Xvfb xvfb; want openbox openbox; want dunst dunst; want xdotool xdotool
  want xfce4-panel xfce4-panel adwaita-icon-theme librsvg2-common
  want WebKitWebDriver webkit2gtk-driver
  want chromium chromium; want chromedriver chromium-driver
  want import imagemagick; want xprop x11-utils; want xsetroot x11-xserver-utils
  want fc-list fontconfig
  fc-list 2>/dev/null | grep -q DejaVu || need_packages+=(fonts-dejavu-core)
}

keychain() {
  want dbus-run-session dbus
  want gnome-keyring-daemon gnome-keyring
  want secret-tool libsecret-tools
}

case "${1:-test}" in
  lint)
    compiler; node; desktop_libraries; want jq jq
    install_packages; rust; lint_tools ;;
  demo | run)
    compiler
    if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then node; desktop_libraries; want xdg-open xdg-utils; fi
    install_packages; rust ;;
  package)
    compiler; node; desktop_libraries
    install_packages; rust ;;
  pictures)
    compiler; node; desktop_libraries; keychain; virtual_desktop; want xdg-open xdg-utils
    install_packages; rust ;;
  interop)
    compiler; node; want jq jq; want openssl openssl
    python3 -c 'import venv, ensurepip' 2>/dev/null || need_packages+=(python3 python3-venv)
    install_packages; rust ;;
  soak)
    compiler; want c++ g++
    install_packages; rust; cargo_tool fuzz 0.13.2 ;;
  bench)
    compiler; node; desktop_libraries; keychain; virtual_desktop
    want jq jq; want curl curl; want wrk wrk; want nginx nginx-light; want python3 python3
    install_packages; rust ;;
  test)
    compiler; keychain; node; desktop_libraries; virtual_desktop
    want curl curl; want jq jq; want openssl openssl; want xdg-open xdg-utils
    install_packages; rust; lint_tools; cargo_tool nextest 0.9.143 ;;
  *)
    echo "usage: install.sh test|lint|demo|run|interop|bench|pictures|soak|package" >&2
    exit 2 ;;
esac
