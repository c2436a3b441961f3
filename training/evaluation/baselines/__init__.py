"""What a model has to beat, counted or factored from the same interactions: one interface, `ranker.Baseline`."""
