"""Tests of batch training and of the incremental learner."""
