#!/usr/bin/env bash
# A Milvus 2.3.5 for the tests of the vector index and of its loss: the server comes whole inside a wheel (80 MB). It has
# an environment of its own, because the wheel puts a package `milvus` and old pins beside it. Nothing else needs it.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
[ -x .venv-milvus/bin/python ] || "$python" -m venv .venv-milvus
.venv-milvus/bin/python -m pip --disable-pip-version-check --quiet install "milvus==2.3.5"
