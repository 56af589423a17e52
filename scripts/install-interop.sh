#!/usr/bin/env bash
# Builds the programs of the interop suite (test/interop): the official tailscaled and tailscale,
# Headscale, wireguard-go, and a program around Tailscale's official API client, each at the version
# and with the hashes that test/interop/pinned states. They go to
# ${POSTERN_INTEROP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/postern-interop}/bin.
#
# Needs Go (1.26.6 or newer; an older one fetches that through the module proxy where GOTOOLCHAIN
# lets it) and, to build, about 4 GB of Go caches. About five minutes on two cores the first time,
# nothing after that. The system's `ip`, `nsenter`, `unshare`, `setpriv` come with test/host/install.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
PINNED=$PWD/test/interop/pinned
BIN=${POSTERN_INTEROP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/postern-interop}/bin
# A build that takes longer than this is stuck: seconds.
BUILD_TIMEOUT=1500

say() { printf 'install-interop: %s\n' "$*" >&2; }

command -v go >/dev/null || { say 'go is not installed; https://go.dev/doc/install, or your package manager'; exit 1; }
mkdir -p "$BIN"
# Only the declared versions, whatever the surroundings say: no workspace, no vendoring, no changed go.mod.
export GOWORK=off GOFLAGS='-mod=readonly -buildvcs=false -trimpath'

# build MODULE PACKAGE...: each package becomes $BIN/<last part of its path>.
build() {
  local module=$1 package name stamp want begin
  shift
  stamp=$BIN/.$module.stamp
  # A module of our own has a main.go besides.
  want=$(find "$PINNED/$module" -type f | LC_ALL=C sort | xargs cat | sha256sum | cut -d' ' -f1)
  for package in "$@"; do
    [ -x "$BIN/${package##*/}" ] || rm -f "$stamp"
  done
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then
    say "$module: built before"
    return
  fi
  rm -f "$stamp"
  begin=$SECONDS
  for package in "$@"; do
    name=${package##*/}
    say "$name: building"
    # Into a file beside it first: a build that is cut short leaves no half of a program.
    (cd "$PINNED/$module" && with_progress "$name" timeout "$BUILD_TIMEOUT" go build -o "$BIN/.$name.new" "$package")
    mv "$BIN/.$name.new" "$BIN/$name"
  done
  echo "$want" >"$stamp"
  say "$module: built in $((SECONDS - begin)) s"
}

# Runs a command and says every half minute that it is still at it.
with_progress() {
  local name=$1 begin=$SECONDS ticker status=0
  shift
  (while sleep 30; do say "$name: still building, $((SECONDS - begin)) s"; done) &
  ticker=$!
  "$@" || status=$?
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  return "$status"
}

# expect PROGRAM VERSION ACTUAL
expect() {
  case $3 in
    *"$2"*) say "$1 $2" ;;
    *) say "$1 says it is \"$3\", not the pinned $2"; exit 1 ;;
  esac
}

# The version of a module that a pinned go.mod requires, without its v.
pinned() {
  sed -n "s#^\(require\)\{0,1\}[[:space:]]*$2 v\([^ ]*\).*#\2#p" "$PINNED/$1/go.mod"
}

build wireguard golang.zx2c4.com/wireguard
build tailscale tailscale.com/cmd/tailscaled tailscale.com/cmd/tailscale
build headscale github.com/juanfont/headscale/cmd/headscale
build api-client postern.invalid/interop/api-client
[ "$BIN/wireguard" -ef "$BIN/wireguard-go" ] || ln -sf wireguard "$BIN/wireguard-go"

# The module and version that a program was built from, as Go wrote it into the file.
built_from() { go version -m "$BIN/$1" | sed -n 's/^\tmod\t\([^\t]*\)\t\([^\t]*\).*$/\1 \2/p'; }
for program in tailscaled tailscale; do
  expect "$program" "$(pinned tailscale tailscale.com)" "$("$BIN/$program" --version | head -1)"
done
expect headscale "$(pinned headscale github.com/juanfont/headscale)" "$(built_from headscale)"
expect wireguard-go "$(pinned wireguard golang.zx2c4.com/wireguard)" "$(built_from wireguard-go)"
say "the programs are in $BIN"
