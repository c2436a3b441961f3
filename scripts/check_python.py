"""Stops the set-up with one clear line where the Python is none of those that every package has wheels for."""

import sys

FIRST, LAST = (3, 11), (3, 13)

if not FIRST <= sys.version_info[:2] <= LAST:
    sys.exit(
        f"found Python {sys.version.split()[0]} at {sys.executable}; expected 3.{FIRST[1]} to 3.{LAST[1]}. "
        "Name another with: make setup PYTHON=python3.12"
    )
try:
    import ensurepip  # noqa: F401 - Debian and Ubuntu package it apart, and venv fails without it
except ImportError:
    sys.exit("found no module ensurepip, which venv needs; on Debian or Ubuntu: sudo apt-get install python3-venv")
