"""8-bit integers: the user tower's matrices in ONNX Runtime, and the item matrix. N items, D width."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic

from contracts.ports import Vectors

LEVELS = 127
"""Largest code: symmetric, so that zero is exact."""


def int8_user_tower(file: bytes) -> bytes:
    """The file with its matrices as int8 by column and its activations quantised as they come.

    Dynamic quantisation as in Jacob et al., "Quantization and training of neural networks" (2018), sec. 2, without
    their training: the weights' scales are fixed here, those of activations taken from each call. Attention, norms
    and embeddings stay float32. Constants are folded first: the quantiser only knows matrices that stand as they are.

    Args:
        file: Of `onnx_export.user_tower_file`.
    """
    with tempfile.TemporaryDirectory() as folder:
        folded, quantised = Path(folder) / "folded.onnx", Path(folder) / "int8.onnx"
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(folded)
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.log_severity_level = 3
        onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        graph = onnx.load_model(folded)
        graph.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")  # else it asks for folding
        quantize_dynamic(
            graph, quantised, op_types_to_quantize=["MatMul", "Gemm"], weight_type=QuantType.QInt8, per_channel=True
        )
        return quantised.read_bytes()


@dataclass(frozen=True)
class Int8Items:
    """Item vectors as codes: a quarter of float32 and four bytes a row.

    Attributes:
        codes: (N, D) int8, -127 to 127.
        scales: (N,) float32; a vector is its codes times its scale.
    """

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]

    @classmethod
    def of(cls, vectors: Vectors) -> "Int8Items":
        """Quantises (N, D) float32 vectors, each by its own largest number; no number is off by over half a step."""
        scales = np.abs(vectors).max(axis=1) / np.float32(LEVELS)  # (N,)
        steps = np.where(scales > 0, scales, np.float32(1.0))[:, None]  # (N, 1)
        return cls(np.rint(vectors / steps).astype(np.int8), scales.astype(np.float32))

    def vectors(self) -> Vectors:
        """The (N, D) float32 vectors that the codes stand for."""
        restored: Vectors = self.codes.astype(np.float32) * self.scales[:, None]
        return restored

    @property
    def nbytes(self) -> int:
        """Bytes of codes and scales."""
        return self.codes.nbytes + self.scales.nbytes
