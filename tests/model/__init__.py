"""Tests of the model code that training and serving share."""
