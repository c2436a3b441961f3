"""Evaluation that does not flatter: protocols, full rankings, metrics with sources, slices, intervals, tables."""
