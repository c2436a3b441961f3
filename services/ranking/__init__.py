"""Ranking: the model in memory and its swap, the order that it gives, and the reasons that are told."""
