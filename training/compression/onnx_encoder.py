"""The user tower run by ONNX Runtime on one CPU thread; checked against torch before it may serve.

B users, T interactions, D width.
"""

import numpy as np
import onnxruntime

from contracts.errors import ModelError
from contracts.features import HISTORY_LENGTH
from contracts.ports import Vectors
from training.compression.onnx_export import INPUTS, OUTPUT, user_tower_onnx
from training.model.fusion import FusionTransformer
from training.model.user_encoder import Integers, TorchUserEncoder
from training.model.vocabulary import GAP_BUCKETS, KINDS

TOLERANCE = 1e-5
"""Largest difference of a number of a unit vector from torch's; float32 in another order gives about 1e-7."""


class OnnxUserEncoder:
    """A graph of `user_tower_onnx`, or one made of it, loaded.

    Args:
        graph: The serialised model.
    """

    def __init__(self, graph: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def encode(self, items: Vectors, kinds: Integers, gaps: Integers, lengths: Integers) -> Vectors:
        """As `UserEncoder.encode`."""
        histories = dict(zip(INPUTS, (items, kinds, gaps, lengths), strict=True))
        users: Vectors = self._session.run([OUTPUT], histories)[0]  # (B, D)
        return users


def onnx_encoder(model: FusionTransformer) -> OnnxUserEncoder:
    """The encoder of a model, checked on histories of several lengths: 15 ms, and once an architecture 0.2 s more.

    Raises:
        ModelError: it gives other vectors than torch.
    """
    encoder = OnnxUserEncoder(user_tower_onnx(model).SerializeToString())
    error = largest_error(encoder, model)
    if not error <= TOLERANCE:
        raise ModelError(
            f"found user vectors that are {error:.1e} from torch's; expected at most {TOLERANCE:.0e}; serve with "
            f"serving_encoder=torch (onnxruntime {onnxruntime.__version__})"
        )
    return encoder


def largest_error(encoder: OnnxUserEncoder, model: FusionTransformer) -> float:
    """The largest absolute difference from torch over random histories: none, one, some, as many as there can be."""
    rng = np.random.default_rng(0)
    lengths = np.array([0, 1, HISTORY_LENGTH // 3, HISTORY_LENGTH])
    shape = (len(lengths), HISTORY_LENGTH)
    items = rng.normal(size=(*shape, model.config.width)).astype(np.float32)
    items /= np.linalg.norm(items, axis=2, keepdims=True)
    kinds, gaps = rng.integers(0, len(KINDS) + 1, shape), rng.integers(0, GAP_BUCKETS, shape)
    expected = TorchUserEncoder(model).encode(items, kinds, gaps, lengths)
    return float(np.abs(encoder.encode(items, kinds, gaps, lengths) - expected).max())
