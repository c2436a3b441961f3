"""The fusion transformer in plain torch: what training and serving share, free of any runtime."""
