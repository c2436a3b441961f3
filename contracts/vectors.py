"""Vectors as text: base64 of little-endian float16, the form in which they travel on topics and over HTTP."""

import base64

import numpy as np

from contracts.ports import Vectors


def vector_to_base64(vector: Vectors) -> str:
    """A (D,) vector as text; float16 keeps three digits, enough for a unit vector."""
    return base64.b64encode(vector.astype("<f2").tobytes()).decode()


def vector_from_base64(text: str) -> Vectors:
    """The (D,) float32 vector of its text."""
    return np.frombuffer(base64.b64decode(text), dtype="<f2").astype(np.float32)
