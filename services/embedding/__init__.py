"""The encoders of text and pictures, by name, and the deployment that batches calls to them."""
