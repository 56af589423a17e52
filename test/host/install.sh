#!/usr/bin/env bash
# What the host suite needs besides Node.js: ip (iproute2), nsenter, setpriv and unshare (util-linux).
set -euo pipefail
missing=()
command -v ip >/dev/null || missing+=(iproute2)
for program in nsenter setpriv unshare; do
  command -v "$program" >/dev/null || { missing+=(util-linux); break; }
done
if [ "${#missing[@]}" -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
ip -V
nsenter --version
setpriv --version
unshare --version
