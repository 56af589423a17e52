#!/usr/bin/env bash
# Builds the policy engines of the examples in examples/hooks, each at the version and with the hashes
# that test/interop/pinned states: Open Policy Agent and Cerbos. They go to
# ${POSTERN_INTEROP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/postern-interop}/bin.
#
# Needs Go (1.26.4 or newer) and about 4 GB of Go caches. About six minutes on two cores the first
# time, nothing after that.
set -euo pipefail
cd "$(dirname "$0")/.."
PINNED=$PWD/test/interop/pinned
BIN=${POSTERN_INTEROP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/postern-interop}/bin
# A build that takes longer than this is stuck: seconds.
BUILD_TIMEOUT=1500

say() { printf 'install-policy-engines: %s\n' "$*" >&2; }

command -v go >/dev/null || { say 'go is not installed; https://go.dev/doc/install, or your package manager'; exit 1; }
mkdir -p "$BIN"
# Only the declared versions, whatever the surroundings say: no workspace, no vendoring, no changed go.mod.
export GOWORK=off GOFLAGS='-mod=readonly -buildvcs=false -trimpath'

# build NAME PACKAGE TAGS: the package becomes $BIN/NAME.
build() {
  local name=$1 package=$2 tags=$3 stamp=$BIN/.$1.stamp want begin=$SECONDS
  want=$(cat "$PINNED/$name/go.mod" "$PINNED/$name/go.sum" | sha256sum | cut -d' ' -f1)
  if [ -x "$BIN/$name" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then
    say "$name: built before"
    return
  fi
  rm -f "$stamp"
  say "$name: building, some minutes"
  # Into a file beside it first: a build that is cut short leaves no half of a program.
  (cd "$PINNED/$name" && timeout "$BUILD_TIMEOUT" go build -tags "$tags" -o "$BIN/.$name.new" "$package")
  mv "$BIN/.$name.new" "$BIN/$name"
  echo "$want" >"$stamp"
  say "$name: built in $((SECONDS - begin)) s"
}

# Without its registry client: policies come from files here.
build opa github.com/open-policy-agent/opa opa_no_oci
build cerbos github.com/cerbos/cerbos/cmd/cerbos ''
say "the programs are in $BIN"
