#!/usr/bin/env bash
# Installs what `npm run test:browser` needs: Debian's Chromium. Does nothing where it is there already.
set -euo pipefail
if [ -x /usr/bin/chromium ]; then exit 0; fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core
