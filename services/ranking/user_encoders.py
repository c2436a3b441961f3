"""The engines that may run the user tower in a replica, by their name in the settings."""

import logging
from collections.abc import Callable

from contracts.errors import StackError
from training.model.fusion import FusionTransformer
from training.model.user_encoder import EncoderOf, TorchUserEncoder, UserEncoder

log = logging.getLogger(__name__)


def onnx(model: FusionTransformer) -> UserEncoder:
    """ONNX Runtime. Raises ModelError where it does not agree with torch."""
    from training.compression.onnx_encoder import onnx_encoder

    return onnx_encoder(model)


class Auto:
    """The fastest engine that ranks alike (`benchmarks/results/compression.md`); torch from its first failure on.

    Args:
        fastest: That engine.
    """

    def __init__(self, fastest: EncoderOf = onnx) -> None:
        self._fastest = fastest
        self._failed = False

    def __call__(self, model: FusionTransformer) -> UserEncoder:
        """The encoder of a model."""
        if not self._failed:
            try:
                return self._fastest(model)
            except Exception:
                self._failed = True
                log.warning("ONNX Runtime cannot run the user tower; torch does from now on", exc_info=True)
        return TorchUserEncoder(model)


USER_ENCODERS: dict[str, Callable[[], EncoderOf]] = {
    "auto": Auto,
    "torch": lambda: TorchUserEncoder,
    "onnx": lambda: onnx,
}


def user_encoder(name: str) -> EncoderOf:
    """The engine of that name. Raises StackError for an unknown name."""
    if name not in USER_ENCODERS:
        raise StackError(f"found serving_encoder={name!r}; expected one of {', '.join(sorted(USER_ENCODERS))}")
    return USER_ENCODERS[name]()
