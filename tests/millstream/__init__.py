"""Tests of the package `millstream`."""
