#!/usr/bin/env bash
# Optional Debian and Ubuntu packages. Millstream runs without any of them; each line says what it adds.
#
#   scripts/install_system.sh            install all of them
#   scripts/install_system.sh chromium   install only the named ones
set -euo pipefail

declare -A WHY=(
  [chromium]="screenshots of the shop page (scripts/screenshot.sh)"
  [prometheus]="scrapes the processes' metrics; promtool checks rules"
  [redis-server]="an online feature store for several machines (MILLSTREAM_REDIS_URL)"
)
names=("$@")
[ ${#names[@]} -gt 0 ] || names=("${!WHY[@]}")

command -v apt-get >/dev/null || { echo "found no apt-get; expected Debian or Ubuntu. Install by hand: ${names[*]}"; exit 1; }
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"
for name in "${names[@]}"; do
  [ -n "${WHY[$name]:-}" ] || { echo "found '$name'; expected one of: ${!WHY[*]}"; exit 2; }
  echo "$name: ${WHY[$name]}"
done
$sudo apt-get update -qq
# A package's own service is not wanted here: the local stack starts what it needs on its own ports.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
  $sudo chmod +x "$policy"
  trap '$sudo rm -f "$policy"' EXIT
fi
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${names[@]}"
