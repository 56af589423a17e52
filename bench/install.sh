#!/bin/sh
# Installs what the bench compares with: wrk and nginx from the system's packages, Portkey, LiteLLM and
# Bifrost into bench/.cache. What cannot be had is named and skipped; the bench says so in its table.
set -u
cd "$(dirname "$0")" || exit 1
mkdir -p .cache

PORTKEY=1.15.2
LITELLM=1.100.0
BIFROST=latest

say() { echo "bench/install.sh: $*" >&2; }

if ! command -v wrk >/dev/null || ! command -v nginx >/dev/null || ! command -v taskset >/dev/null; then
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    say 'installing wrk, nginx and util-linux'
    apt-get update -qq && apt-get install -y -qq --no-install-recommends wrk nginx-light util-linux >/dev/null ||
      say 'apt-get failed; the bench goes on without'
  else
    say 'wrk or nginx is missing; install them with your package manager (needs root)'
  fi
fi

if [ ! -e .cache/portkey/node_modules/@portkey-ai/gateway/build/start-server.js ]; then
  say "installing Portkey $PORTKEY"
  mkdir -p .cache/portkey
  echo '{"private":true}' > .cache/portkey/package.json
  (cd .cache/portkey && npm install --ignore-scripts --no-audit --no-fund --loglevel=error "@portkey-ai/gateway@$PORTKEY") ||
    say 'Portkey could not be installed'
fi

if [ ! -x .cache/litellm/bin/litellm ]; then
  if command -v python3 >/dev/null; then
    say "installing LiteLLM $LITELLM"
    python3 -m venv .cache/litellm && .cache/litellm/bin/pip install -q "litellm[proxy]==$LITELLM" ||
      say 'LiteLLM could not be installed'
  else
    say 'python3 is missing: no LiteLLM'
  fi
fi

if [ ! -x .cache/bifrost/bifrost-http ]; then
  if command -v go >/dev/null; then
    say "building Bifrost $BIFROST"
    mkdir -p .cache/bifrost
    GOBIN="$PWD/.cache/bifrost" go install "github.com/maximhq/bifrost/transports/bifrost-http@$BIFROST" 2> .cache/bifrost/build.log ||
      say "Bifrost could not be built: $(tail -n 1 .cache/bifrost/build.log)"
  else
    say 'go is missing: no Bifrost'
  fi
fi
exit 0
