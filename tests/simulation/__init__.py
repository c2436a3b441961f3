"""The streams in virtual time, disturbed by seed: see `world.py` for what is real and `faults.py` for what happens."""
