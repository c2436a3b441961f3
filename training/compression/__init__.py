"""Smaller and faster forms of a trained model: distilled, pruned, of 8-bit integers, in ONNX; measured in one table."""
