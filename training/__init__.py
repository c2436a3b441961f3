"""Examples to model version: the fusion transformer, its batch training and its incremental learner."""
