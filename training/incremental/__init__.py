"""The incremental learner: feedback to a new version every few seconds, checked before it is learned from."""
