"""Tests over the whole local stack."""
