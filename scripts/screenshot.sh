#!/usr/bin/env bash
# A picture of the shop page of a running stack: scripts/screenshot.sh [FILE] [WIDTHxHEIGHT]
# Needs chromium (scripts/install_system.sh chromium).
set -euo pipefail
file=${1:-build/page.png}
size=${2:-1440x1800}
url=http://127.0.0.1:${MILLSTREAM_GATEWAY_PORT:-8000}/
command -v chromium >/dev/null || { echo "found no chromium; install it with: scripts/install_system.sh chromium"; exit 1; }
mkdir -p "$(dirname "$file")"
chromium --headless --no-sandbox --hide-scrollbars --window-size="${size/x/,}" --virtual-time-budget=8000 \
  --screenshot="$file" "$url" 2>/dev/null
echo "$file"
