"""The user tower run by ONNX Runtime on one CPU thread; checked against torch before it may serve.

A version's weights are inputs of a session that all versions share: a new version costs its check and nothing else.

B users, T interactions, D width.
"""

import threading
from collections.abc import Mapping

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from contracts.errors import ModelError
from contracts.features import HISTORY_LENGTH
from contracts.ports import Vectors
from training.compression.onnx_export import (
    INPUTS,
    OUTPUT,
    Architecture,
    architecture_of,
    user_tower_graph,
    weights_of,
)
from training.model.fusion import FusionTransformer
from training.model.user_encoder import Integers, TorchUserEncoder
from training.model.vocabulary import GAP_BUCKETS, KINDS

TOLERANCE = 1e-5
"""Largest difference of a number of a unit vector from torch's; float32 in another order gives about 1e-7."""

_sessions: dict[Architecture, onnxruntime.InferenceSession] = {}
_loading = threading.Lock()


class OnnxUserEncoder:
    """The user tower of one version.

    Args:
        session: A graph of `onnx_export`, loaded.
        weights: What the graph takes beside the histories; none for a whole file.
    """

    def __init__(self, session: onnxruntime.InferenceSession, weights: Mapping[str, NDArray[np.float32]]) -> None:
        self._session = session
        self._weights = dict(weights)

    @classmethod
    def of_file(cls, file: bytes) -> "OnnxUserEncoder":
        """The encoder of a whole file: `user_tower_file`, `int8_user_tower`."""
        return cls(loaded(file), {})

    def encode(self, items: Vectors, kinds: Integers, gaps: Integers, lengths: Integers) -> Vectors:
        """As `UserEncoder.encode`."""
        histories = dict(zip(INPUTS, (items, kinds, gaps, lengths), strict=True))
        users: Vectors = self._session.run([OUTPUT], self._weights | histories)[0]  # (B, D)
        return users


def onnx_encoder(model: FusionTransformer) -> OnnxUserEncoder:
    """The encoder of a version, checked; versions of one architecture share their session, so that none costs another.

    Raises:
        ModelError: it gives other vectors than torch, or takes other weights than the model has.
    """
    return checked(OnnxUserEncoder(_session(model), weights_of(model)), model)


def loaded(graph: bytes) -> onnxruntime.InferenceSession:
    """A session on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def checked(encoder: OnnxUserEncoder, model: FusionTransformer) -> OnnxUserEncoder:
    """The same encoder. Raises ModelError where it gives other vectors than torch does of the model."""
    error = largest_error(encoder, model)
    if not error <= TOLERANCE:
        raise ModelError(
            f"found user vectors that are {error:.1e} from torch's; expected at most {TOLERANCE:.0e}; serve with "
            f"serving_encoder=torch (onnxruntime {onnxruntime.__version__})"
        )
    return encoder


def _session(model: FusionTransformer) -> onnxruntime.InferenceSession:
    architecture = architecture_of(model)
    with _loading:
        session = _sessions.get(architecture)
        if session is None:
            session = loaded(user_tower_graph(model))
            taken = {given.name for given in session.get_inputs()}
            if taken != set(weights_of(model)) | set(INPUTS):
                raise ModelError(
                    f"found a graph that takes {sorted(taken)}; expected {', '.join(INPUTS)} and every weight of the "
                    "user tower by its name; serve with serving_encoder=torch"
                )
            _sessions[architecture] = session
    return session


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
