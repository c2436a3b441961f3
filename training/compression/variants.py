"""The forms that one trained model can be served in, each made by its recipe: what a row of the table measures.

N items, D width.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from safetensors.torch import save as safetensors_of

from contracts.errors import ModelError
from contracts.ports import Vectors
from training.compression.distillation import Distillation, distilled
from training.compression.int8 import Int8Items, int8_user_tower
from training.compression.onnx_encoder import OnnxUserEncoder, checked, onnx_encoder
from training.compression.onnx_export import user_tower_file, user_tower_graph
from training.compression.onnx_export import weights_of as tower_weights
from training.compression.pruning import fine_tune, pruned
from training.evaluation.protocol import Split
from training.loop import LoopConfig, Progress, Worker
from training.model.content import ContentTable
from training.model.fusion import FusionConfig, FusionTransformer
from training.model.user_encoder import TorchUserEncoder, UserEncoder
from training.snapshot import Snapshot
from training.trust import SHARES, Popularities, Trust, best_trust, trusting

Choice = TypeVar("Choice")

FINE_TUNE_RATE = 0.25
MOST_VALIDATION_USERS = 2000


@dataclass(frozen=True)
class Source:
    """What variants are made from.

    Attributes:
        model: The trained model, the teacher; on the CPU, in evaluation mode.
        split: What it learned, what settings are chosen on, and the test.
        loop: How students are trained; pruned towers have one epoch at a quarter of the rate.
        worker: Its seed; its device is the CPU.
        student: Sizes of the students.
    """

    model: FusionTransformer
    split: Split
    loop: LoopConfig
    worker: Worker
    student: FusionConfig


@dataclass(frozen=True)
class Form:
    """What a variant is: which weights, run by which engine, with which item vectors."""

    weights: str
    engine: str
    int8_items: bool = False

    @property
    def name(self) -> str:
        """As the table shows it."""
        return f"{self.weights}, {self.engine}{', int8 items' if self.int8_items else ''}"


@dataclass(frozen=True)
class Variant:
    """One form of the model.

    Attributes:
        model: The weights that it ranks with; of the user tower `encoder` may have other ones.
        encoder: Runs the user tower.
        items: (N, D) float32 item vectors as they rank.
        bias: (N,) float32 learned popularity.
        tower_bytes: Size of the file of the user tower.
        item_bytes: Size of the item vectors.
    """

    model: FusionTransformer
    encoder: UserEncoder
    items: Vectors
    bias: Vectors
    tower_bytes: int
    item_bytes: int


def as_trained(source: Source, progress: Progress) -> FusionTransformer:
    """The model itself."""
    return source.model


def as_pruned(source: Source, progress: Progress) -> FusionTransformer:
    """Half the heads and half the neurons, without a further epoch."""
    return pruned(source.model)


def as_tuned(source: Source, progress: Progress) -> FusionTransformer:
    """Half the heads and half the neurons, and one epoch to recover."""
    model = pruned(source.model)
    loop = replace(source.loop, epochs=1, learning_rate=source.loop.learning_rate * FINE_TUNE_RATE)
    fine_tune(model, source.split.training, loop, source.worker, progress)
    return model


def as_student(source: Source, progress: Progress) -> FusionTransformer:
    """A smaller model that learned from this one."""
    return _student(source, Distillation(), progress)


def as_small(source: Source, progress: Progress) -> FusionTransformer:
    """A model as small as the student without a teacher: what distillation is worth."""
    return _student(source, Distillation(share=0.0), progress)


def in_torch(model: FusionTransformer) -> tuple[UserEncoder, int]:
    """Torch, and the bytes of its weights."""
    weights = {name: weight.contiguous() for name, weight in model.user_tower.state_dict().items()}
    return TorchUserEncoder(model), len(safetensors_of(weights))


def in_onnx(model: FusionTransformer) -> tuple[UserEncoder, int]:
    """ONNX Runtime, all versions in one graph, and the bytes of a file of it."""
    return onnx_encoder(model), len(user_tower_graph(model)) + sum(
        part.nbytes for part in tower_weights(model).values()
    )


def in_onnx_file(model: FusionTransformer) -> tuple[UserEncoder, int]:
    """ONNX Runtime, a file of its own, and its bytes."""
    file = user_tower_file(model)
    return checked(OnnxUserEncoder.of_file(file), model), len(file)


def in_int8(model: FusionTransformer) -> tuple[UserEncoder, int]:
    """ONNX Runtime, a file with the matrices as int8, and its bytes."""
    file = int8_user_tower(user_tower_file(model))
    return OnnxUserEncoder.of_file(file), len(file)


TRAINED = "trained"
WEIGHTS: dict[str, Callable[[Source, Progress], FusionTransformer]] = {
    TRAINED: as_trained,
    "pruned": as_pruned,
    "pruned and tuned": as_tuned,
    "small, no teacher": as_small,
    "student": as_student,
}
ENGINES: dict[str, Callable[[FusionTransformer], tuple[UserEncoder, int]]] = {
    "torch": in_torch,
    "onnx": in_onnx,
    "onnx file": in_onnx_file,
    "onnx int8": in_int8,
}
REFERENCE = Form(TRAINED, "torch")
"""What the others are compared with."""

FORMS = (
    REFERENCE,
    Form(TRAINED, "onnx"),
    Form(TRAINED, "onnx file"),
    Form(TRAINED, "onnx int8"),
    Form(TRAINED, "onnx", int8_items=True),
    Form(TRAINED, "onnx int8", int8_items=True),
    *(Form(weights, "onnx") for weights in WEIGHTS if weights != TRAINED),
    Form("student", "torch"),
    Form("student", "onnx int8", int8_items=True),
)


def weights_of(name: str, source: Source, progress: Progress) -> FusionTransformer:
    """The weights of that name, trained where they need it.

    Raises:
        ModelError: no weights of that name.
    """
    return _known(WEIGHTS, name, "weights")(source, progress)


def variant_of(form: Form, model: FusionTransformer, table: ContentTable) -> Variant:
    """The variant of a form and its weights.

    Raises:
        ModelError: no engine of that name, or it does not agree with torch.
    """
    encoder, size = _known(ENGINES, form.engine, "engine")(model)
    snapshot = Snapshot.of(model, table)
    items, bias = np.ascontiguousarray(snapshot.vectors.numpy()), snapshot.bias.numpy()
    if not form.int8_items:
        return Variant(model, encoder, items, bias, size, items.nbytes)
    codes = Int8Items.of(items)
    return Variant(model, encoder, codes.vectors(), bias, size, codes.nbytes)


def _known(choices: dict[str, Choice], name: str, what: str) -> Choice:
    if name not in choices:
        raise ModelError(f"found {what} {name!r}; expected one of: {'; '.join(choices)}")
    return choices[name]


def _student(source: Source, distillation: Distillation, progress: Progress) -> FusionTransformer:
    training = source.split.training
    teacher = Snapshot.of(source.model, training.table)
    student = distilled(teacher, training, source.student, source.loop, source.worker, progress, distillation)
    return _trusted(student, source.split)


def _trusted(model: FusionTransformer, split: Split) -> FusionTransformer:
    """The share of the personal score that ranks the validation users best, as the teacher's was chosen."""
    asked = split.validation[:: max(1, len(split.validation) // MOST_VALIDATION_USERS)]

    if not asked:
        return model
    popularities, trusts = Popularities(split.training), [Trust(share=share) for share in SHARES]
    _, trust = best_trust(model, popularities, asked, split.without_history, trusts)
    return trusting(model, popularities, trust)
