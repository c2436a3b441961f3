"""Examples of the feedback topic as tensors, right-padded to the longest history of the batch.

Items shown together share one history, which is encoded once: the user tower is the learner's main cost.
B examples, H different histories, T interactions, N items, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from contracts.clock import to_ms
from contracts.events import EventKind
from contracts.examples import TrainingExample
from contracts.features import HISTORY_LENGTH
from training.model.fusion import FusionTransformer
from training.model.vocabulary import Vocabulary, gap_buckets, kind_row

_CARTS = frozenset({EventKind.ADD_TO_CART, EventKind.PURCHASE})


@dataclass(frozen=True)
class ExampleBatch:
    """A batch of examples.

    Attributes:
        items: (H, T) int64 item indices of the histories, 0 where padded.
        kinds: (H, T) int64 kind rows.
        gaps: (H, T) int64 gap buckets, to the example's time for the last.
        lengths: (H,) int64 interactions of each history.
        owner: (B,) int64 history of each example.
        targets: (B,) int64 index of the example's item.
        labels: (B, 3) float32 by `heads.Head`.
        fresh: (B,) bool, whether the history lacks the item: what the towers are to foresee, as in batch training.
    """

    items: Tensor
    kinds: Tensor
    gaps: Tensor
    lengths: Tensor
    owner: Tensor
    targets: Tensor
    labels: Tensor
    fresh: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def positive(self) -> Tensor:
        """(B,) bool: an outcome with an item that is new to the user."""
        return (self.labels[:, 0] > 0) & self.fresh

    def users(self, model: FusionTransformer, vectors: Tensor) -> Tensor:
        """The users just before their examples, (B, D), by the item vectors (N, D)."""
        every = model.users(vectors[self.items], self.kinds, self.gaps)  # (H, T + 1, D)
        return every[torch.arange(len(self.lengths)), self.lengths][self.owner]  # (B, D)


def encode_examples(examples: Sequence[TrainingExample], vocabulary: Vocabulary) -> ExampleBatch:
    """A batch of the examples that cancel nothing and whose item is known; a history leaves out unknown items."""
    known = [
        (example, index)
        for example in examples
        if not example.cancels and (index := vocabulary.index(example.item_id)) is not None
    ]
    rows: dict[tuple[object, ...], int] = {}
    owner = [rows.setdefault(shared_history(example), len(rows)) for example, _ in known]
    first = {row: example for row, (example, _) in reversed(list(zip(owner, known, strict=True)))}
    histories = [_history(first[row], vocabulary) for row in range(len(rows))]
    longest = max((len(history) for history in histories), default=0)
    items, kinds, gaps = (np.zeros((len(rows), longest), dtype=np.int64) for _ in range(3))
    for row, history in enumerate(histories):
        if history:
            columns = list(zip(*history, strict=True))
            items[row, : len(history)] = columns[0]
            kinds[row, : len(history)] = columns[1]
            gaps[row, : len(history)] = gap_buckets(columns[2], to_ms(first[row].at))
    labels = [
        (
            float(example.outcome is not None),
            float(example.outcome in _CARTS),
            float(example.outcome == EventKind.PURCHASE),
        )
        for example, _ in known
    ]
    return ExampleBatch(
        items=torch.from_numpy(items),
        kinds=torch.from_numpy(kinds),
        gaps=torch.from_numpy(gaps),
        lengths=torch.tensor([len(history) for history in histories], dtype=torch.int64),
        owner=torch.tensor(owner, dtype=torch.int64),
        targets=torch.tensor([index for _, index in known], dtype=torch.int64),
        labels=torch.tensor(labels, dtype=torch.float32).reshape(-1, 3),
        fresh=torch.tensor([example.item_id not in example.history_items for example, _ in known], dtype=torch.bool),
    )


def shared_history(example: TrainingExample) -> tuple[object, ...]:
    """What two examples must have in common for the user tower to say the same of both."""
    return example.user_id, example.at, example.history_items, example.history_times_ms


def _history(example: TrainingExample, vocabulary: Vocabulary) -> list[tuple[int, int, int]]:
    columns = zip(example.history_items, example.history_kinds, example.history_times_ms, strict=False)
    return [
        (index, kind_row(kind), time_ms)
        for item, kind, time_ms in columns
        if (index := vocabulary.index(item)) is not None
    ][-HISTORY_LENGTH:]
