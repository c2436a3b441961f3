"""Events to features and training examples: pure state in `state/`, thin Faust agents in `agents/`."""
