"""Runners of other systems, each in an environment of its own: they import nothing of ours."""
