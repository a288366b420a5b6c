# Sourced by every script of this folder: where we are and where cargo builds.
root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root" || exit

# Outside the clone, so that a fresh clone finds what the last one built.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$HOME/.cache/keyfob/target}
export CARGO_TERM_PROGRESS_WHEN=never

if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
  PATH=$HOME/.cargo/bin:$PATH
fi
case ":$PATH:" in *":$HOME/.cargo/bin:"*) ;; *) PATH=$PATH:$HOME/.cargo/bin ;; esac
case ":$PATH:" in *:/usr/sbin:*) ;; *) PATH=$PATH:/usr/sbin ;; esac
export PATH

# The packages of a debug build. They are always named together: each other choice would give the
# dependencies other features, and compile them once more.
testkit=(-p keyfob-tests -p keyfob-cli)

export KEYFOB_BIN=${KEYFOB_BIN:-$CARGO_TARGET_DIR/release/keyfob}
export KEYFOB_DESKTOP_BIN=${KEYFOB_DESKTOP_BIN:-$CARGO_TARGET_DIR/release/keyfob-desktop}
