"""Who turns a history into the user's vector: one interface, so that serving can choose the engine. Torch is this one.

B users, T interactions, D width.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from contracts.ports import Vectors
from training.model.fusion import FusionTransformer

Integers = NDArray[np.int64]


class UserEncoder(Protocol):
    """The user tower of one version, read at each user's own last position. Called by many threads at once."""

    def encode(self, items: Vectors, kinds: Integers, gaps: Integers, lengths: Integers) -> Vectors:
        """User vectors (B, D) float32 of unit length.

        Args:
            items: (B, T, D) float32 item vectors, oldest first, right-padded with anything.
            kinds: (B, T) int64 rows of the kind embedding.
            gaps: (B, T) int64 buckets of the time to the next interaction (to now for the last one).
            lengths: (B,) int64 interactions of each user, 0 to T.
        """
        ...


EncoderOf = Callable[[FusionTransformer], UserEncoder]
"""Makes the encoder of a model in evaluation mode. Raises ModelError where its engine cannot run this model."""


class TorchUserEncoder:
    """The model as it is, run by torch."""

    def __init__(self, model: FusionTransformer) -> None:
        self._model = model

    def encode(self, items: Vectors, kinds: Integers, gaps: Integers, lengths: Integers) -> Vectors:
        """As `UserEncoder.encode`."""
        with torch.inference_mode():
            users = self._model.users(torch.from_numpy(items), torch.from_numpy(kinds), torch.from_numpy(gaps))
            own: Vectors = users[torch.arange(len(lengths)), torch.from_numpy(lengths)].numpy()  # (B, D)
        return own
