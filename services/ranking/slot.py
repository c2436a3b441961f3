"""The model in memory and its swap.

The double buffer: (1) the loader builds the next `LoadedModel` aside while requests go on with the current one; (2) one
assignment replaces the reference; (3) a request that has taken the old one keeps it until it is done, then it is freed.
A request takes the reference once and uses it throughout, so it never sees two versions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from contracts.errors import NoModel
from contracts.ids import ItemId
from contracts.ports import VectorHit, Vectors
from contracts.versions import PublishedVersion
from training.model.serving import ServingModel


@dataclass(frozen=True)
class LoadedModel:
    """A model with its item vectors stacked for exact search in memory.

    Attributes:
        model: Towers and heads of one version.
        item_ids: (N,) items that it has vectors for.
        matrix: (N, D) float32 their vectors, unit length, in the same order.
        fresh: Items that came after this version was published: not in the vector index yet.
    """

    model: ServingModel
    item_ids: tuple[ItemId, ...]
    matrix: Vectors
    fresh: frozenset[ItemId] = frozenset()
    rows: dict[ItemId, int] = field(default_factory=dict)

    @property
    def version(self) -> PublishedVersion:
        """The version's record."""
        return self.model.version

    def nearest(self, query: Vectors, limit: int, among: Sequence[ItemId] | None = None) -> list[VectorHit]:
        """The nearest items by inner product, exact, best first.

        Args:
            query: (D,) user vector.
            limit: At most so many.
            among: Only these items; None for all. Ids without a vector are left out.
        """
        chosen: NDArray[np.intp] = (
            np.arange(len(self.item_ids))
            if among is None
            else np.array([self.rows[item_id] for item_id in among if item_id in self.rows], dtype=np.intp)
        )
        if not chosen.size:
            return []
        scores = self.matrix[chosen] @ query  # (C,)
        best = np.argsort(-scores, kind="stable")[:limit]
        return [VectorHit(self.item_ids[chosen[place]], float(scores[place])) for place in best]


def loaded(model: ServingModel, fresh: frozenset[ItemId] = frozenset()) -> LoadedModel:
    """Stacks the item vectors of a model."""
    vectors = model.item_vectors()
    item_ids = tuple(vectors)
    matrix = np.stack([vectors[item_id] for item_id in item_ids]) if item_ids else np.zeros((0, model.dimension))
    rows = {item_id: row for row, item_id in enumerate(item_ids)}
    return LoadedModel(model, item_ids, matrix.astype(np.float32), fresh, rows)


class ModelSlot:
    """Holds the model that is served. Reading and swapping are one reference each, atomic in Python."""

    def __init__(self) -> None:
        self._current: LoadedModel | None = None
        self._served: list[PublishedVersion] = []

    def current(self) -> LoadedModel:
        """The model to serve this request with. Raises NoModel before the first version."""
        current = self._current
        if current is None:
            raise NoModel("found no published model version; expected one from `millstream train` or the learner")
        return current

    def swap(self, loaded_model: LoadedModel) -> None:
        """Serves `loaded_model` from the next request on."""
        if not self._served or self._served[-1].version != loaded_model.version.version:
            self._served.append(loaded_model.version)
            del self._served[:-100]
        self._current = loaded_model

    def served(self) -> tuple[PublishedVersion, ...]:
        """The last hundred versions served by this replica, oldest first."""
        return tuple(self._served)
