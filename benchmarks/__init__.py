"""Measurements: one file for each number that a document quotes."""
