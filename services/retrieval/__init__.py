"""Candidates: the catalogue in memory, the sources that propose items, their merge and the filters."""
