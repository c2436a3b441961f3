"""Stored state behind the ports: features, vectors, pictures, model versions, the archive."""
