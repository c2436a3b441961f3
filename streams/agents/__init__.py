"""The agents: each only moves messages between the log, the pure folds and the sinks."""
