"""A published version in a replica's memory: user vectors by a chosen engine, ranking by numpy, exact for this version.

Immutable after construction, so that threads read it freely and a swap is one assignment. D width, C candidates.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from contracts.errors import BadCheckpoint, UndecodableMessage
from contracts.features import HISTORY_LENGTH, ItemFeatures, UserFeatures
from contracts.ids import ItemId
from contracts.ports import Vectors
from contracts.versions import PublishedVersion
from contracts.wire import decode
from training.model import checkpoint
from training.model.content import ContentTable, ItemContent
from training.model.features import Candidates, ItemFacts, co_visits_of, head_features
from training.model.head_weights import HeadWeights
from training.model.history import EMPTY_HISTORY, History
from training.model.id_table import SHARED_ROW
from training.model.mixture import log_sum_exp, mixed_logits
from training.model.query_tower import QueryTokens, SearchQuery
from training.model.user_encoder import EncoderOf, TorchUserEncoder, UserEncoder
from training.model.vocabulary import Vocabulary, gap_buckets, kind_row

__all__ = ["EMPTY_HISTORY", "History", "ItemContent", "ServingModel"]

MANIFEST = "manifest.json"
_REMEMBERED_USERS = 256


class ServingModel:
    """One version, loaded.

    Args:
        version: Its manifest.
        loaded: Its checkpoint.
        encoder: What runs its user tower; torch when None.

    Attributes:
        version: Its manifest.
        dimension: D of user and item vectors.
        item_ids: Items that it has vectors for.
    """

    def __init__(
        self, version: PublishedVersion, loaded: checkpoint.Checkpoint, encoder: UserEncoder | None = None
    ) -> None:
        self.version = version
        self.dimension = loaded.model.config.width
        self._loaded = loaded
        self._vocabulary = loaded.vocabulary
        self._facts = loaded.facts
        self._matrix = loaded.item_matrix
        self._model = loaded.model
        self._encoder = encoder or TorchUserEncoder(loaded.model)
        self._heads = HeadWeights.of(loaded.model.heads)
        self._scale = float(loaded.model.scale().detach())
        self._bias = self._biases()
        self._shared_bias = float(loaded.model.bias.weight[SHARED_ROW].detach())
        self._share = float(loaded.model.neighbour_share)
        self._lock = threading.Lock()
        self._remembered: dict[tuple[History, int], Vectors] = {}

    @classmethod
    def load(cls, directory: Path, encoder_of: EncoderOf = TorchUserEncoder) -> "ServingModel":
        """Reads a version directory of the model store.

        Args:
            directory: The version's.
            encoder_of: The engine that runs its user tower.

        Raises:
            BadCheckpoint: it is no whole model.
            ModelError: the engine cannot run it.
        """
        try:
            version = decode(PublishedVersion, (directory / MANIFEST).read_bytes())
        except (OSError, ValueError, UndecodableMessage) as error:
            raise BadCheckpoint(f"found no readable {MANIFEST} in {directory} ({error}); expected a version") from error
        loaded = checkpoint.load(directory)
        return cls(version, loaded, encoder_of(loaded.model))

    @property
    def item_ids(self) -> Sequence[ItemId]:
        """Items that this version has vectors for."""
        return self._vocabulary.ids

    def user_vector(self, history: History, now_ms: int) -> Vectors:
        """The user as a (D,) unit vector; an empty history gives the learned start token's.

        Args:
            history: Interactions, oldest first; the newest `HISTORY_LENGTH` known ones are read.
            now_ms: Time of the request, ms since the epoch.
        """
        key = (history, int(gap_buckets(history.times_ms[-1:], now_ms)[0]) if history.times_ms else 0)
        with self._lock:
            known = self._remembered.get(key)
        if known is not None:
            return known
        vector = self._encoded(history, now_ms)
        with self._lock:
            if len(self._remembered) >= _REMEMBERED_USERS:
                self._remembered.pop(next(iter(self._remembered)))
            self._remembered[key] = vector
        return vector

    def query_vector(
        self, text: Vectors | None = None, picture: Vectors | None = None, user: Vectors | None = None
    ) -> Vectors:
        """A search as a (D,) unit vector, to be searched for as a user's is.

        Args:
            text: (Dt,) vector of the words; None for a search by picture alone.
            picture: (Dp,) vector of the picture; None for a search by words alone.
            user: (D,) from `user_vector`, for a personal answer.

        Raises:
            InvalidMessage: neither text nor picture, or a vector of another width or with a NaN in it.
            NoModel: this version has no query tower.
        """
        config = self._model.config
        query = QueryTokens.of([SearchQuery(text, picture, user)], config.content, config.width)
        with torch.inference_mode():
            vector: Vectors = self._model.queries(query)[0].numpy()
        return vector

    def rank(
        self,
        history: History,
        user: UserFeatures | None,
        candidates: Sequence[ItemId],
        item_features: Callable[[ItemId], ItemFeatures | None],
        now_ms: int,
    ) -> NDArray[np.float32]:
        """Final scores (C,) of candidates by the expected value of showing them, higher is better: `ranking_score`.

        A candidate without a vector is ranked by its features alone, as if at a right angle to the user, and as popular
        as an item that nobody has touched.
        """
        if not candidates:
            return np.zeros(0, dtype=np.float32)
        indices = self._indices(candidates)
        vector = self.user_vector(history, now_ms)
        items = self._rows(indices)  # (C, D)
        bias = np.where(indices >= 0, self._bias[indices], self._shared_bias).astype(np.float32)  # (C,)
        facts = [self._facts[index] if index >= 0 else ItemFacts() for index in indices.tolist()]
        rows = [item_features(item_id) for item_id in candidates]
        features = head_features(history, user, Candidates(candidates, facts, rows), now_ms)  # (C, F)
        match = self._mixed(vector, self._scale * (items @ vector) + bias, features)  # (C,)
        return self._heads.scores(vector, items, match, features)

    def similar(self, item_id: ItemId, candidates: Sequence[ItemId]) -> NDArray[np.float32]:
        """Cosine of the item's vector with each candidate's, (C,); 0 where either has none."""
        index = self._vocabulary.index(item_id)
        if index is None or not candidates:
            return np.zeros(len(candidates), dtype=np.float32)
        cosines: NDArray[np.float32] = self._rows(self._indices(candidates)) @ self._matrix[index]
        return cosines

    def with_items(self, items: Mapping[ItemId, ItemContent]) -> "ServingModel":
        """A copy that has vectors for these items too; items of this version keep theirs. Milliseconds.

        Raises:
            InvalidMessage: a content vector of another width than this version was trained with.
        """
        new = [content for item_id, content in items.items() if item_id not in self._vocabulary]
        if not new:
            return self
        table = ContentTable(self._model.config.content, Vocabulary(), self._loaded.ids)
        table.put(new)
        with torch.inference_mode():
            vectors = self._model.items(table.tokens().without_ids()).numpy()
        vocabulary = self._vocabulary.copy()
        for content in new:
            vocabulary.admit(content.item.item_id)
        facts = (*self._facts, *(ItemFacts.of(content.item) for content in new))
        matrix = np.concatenate([self._matrix, vectors])
        loaded = checkpoint.Checkpoint(self._model, vocabulary, facts, matrix, self._loaded.ids)
        return ServingModel(self.version, loaded, self._encoder)

    def item_vectors(self) -> Mapping[ItemId, Vectors]:
        """All item vectors of this version, each (D,)."""
        return dict(zip(self._vocabulary.ids, self._matrix, strict=True))

    def _mixed(self, vector: Vectors, match: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Retrieval logits (C,) mixed with the candidates' co-visits, of which the candidates hold nearly all."""
        near = co_visits_of(features)  # (C,)
        if self._share == 0.0 or not near.any():
            return match
        return mixed_logits(match, near, self._share, log_sum_exp(self._scale * (self._matrix @ vector) + self._bias))

    def _encoded(self, history: History, now_ms: int) -> Vectors:
        known = [
            (index, kind_row(kind), time_ms)
            for item, kind, time_ms in zip(history.items, history.kinds, history.times_ms, strict=True)
            if (index := self._vocabulary.index(item)) is not None
        ][-HISTORY_LENGTH:]
        indices, kinds, times_ms = (list(column) for column in zip(*known, strict=True)) if known else ([], [], [])
        vectors = self._encoder.encode(
            self._matrix[np.array(indices, dtype=np.int64)][None],  # (1, T, D)
            np.array([kinds], dtype=np.int64),  # (1, T)
            gap_buckets(times_ms, now_ms)[None],  # (1, T)
            np.array([len(indices)]),  # (1,)
        )
        vector: Vectors = vectors[0]
        return vector

    def _indices(self, candidates: Sequence[ItemId]) -> NDArray[np.int64]:
        places = (self._vocabulary.index(item_id) for item_id in candidates)
        return np.array([-1 if place is None else place for place in places], dtype=np.int64)

    def _rows(self, indices: NDArray[np.int64]) -> Vectors:
        rows: Vectors = np.where((indices >= 0)[:, None], self._matrix[indices], np.float32(0.0))
        return rows

    def _biases(self) -> NDArray[np.float32]:
        rows = torch.from_numpy(self._loaded.ids.rows(self._vocabulary))
        with torch.inference_mode():
            bias: NDArray[np.float32] = self._model.item_bias(rows).numpy()
        return bias
