#!/usr/bin/env bash
# Formats the code and mends what ruff can mend by itself.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/ruff check --fix . || true
.venv/bin/ruff format .
