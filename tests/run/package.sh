#!/usr/bin/env bash
# package.sh FOLDER: the app and the command as an archive to unpack below /usr/local or ~/.local.
set -euo pipefail
. "$(dirname "$0")/env.sh"

folder=${1:-$CARGO_TARGET_DIR/packages}
tests/run/build.sh all
version=$("$KEYFOB_BIN" --version | awk '{print $2}')
name=keyfob-$version-$(uname -m)-linux
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
install -D -m 755 "$KEYFOB_BIN" "$stage/$name/bin/keyfob"
install -D -m 755 "$KEYFOB_DESKTOP_BIN" "$stage/$name/bin/keyfob-desktop"
for size in 32 64 128 256 512; do
  install -D -m 644 "icons/app-$size.png" "$stage/$name/share/icons/hicolor/${size}x$size/apps/keyfob.png"
done
install -D -m 644 icons/app.svg "$stage/$name/share/icons/hicolor/scalable/apps/keyfob.svg"
install -d "$stage/$name/share/applications" "$stage/$name/share/doc/keyfob"
cat >"$stage/$name/share/applications/dev.keyfob.desktop" <<'DESKTOP'
[Desktop Entry]
Type=Application
Name=Keyfob
Comment=Signs you in to remote MCP servers and keeps you signed in
Exec=keyfob-desktop
Icon=keyfob
Categories=Network;Security;
StartupNotify=true
DESKTOP
install -m 644 README.md CHANGELOG.md LICENSE "$stage/$name/share/doc/keyfob/"
mkdir -p "$folder"
tar -C "$stage" --owner=0 --group=0 --sort=name -czf "$folder/$name.tar.gz" "$name"
echo "$folder/$name.tar.gz: $(stat -c %s "$folder/$name.tar.gz") bytes; needs WebKitGTK 4.1 of the system"
