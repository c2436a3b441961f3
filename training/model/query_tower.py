"""The query tower: a search's text and picture, and by choice who asks, as a unit vector in the space of the items.

A query finds items as a user does: by inner product, in the same index. Two towers trained on what was clicked are
those of Huang et al., DSSM (2013), and Nigam et al., "Semantic product search" (2019); ours reads encoders' vectors in
place of words, and starts as the item tower's own reading of an item with this text and picture and nothing else.
B queries, N items, Dt and Dp widths of text and picture vectors, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from contracts.errors import InvalidMessage
from contracts.ports import Vectors
from training.model.content import MODALITIES, ContentShape
from training.model.fusions import AttentionPooling
from training.model.item_tower import ItemTower

QUERY_MODALITIES = ("text", "picture", "user")
"""What a query may bring, in the order of the mask's columns."""

FIRST_TRUST = 0.1
"""Weight that the user's vector starts with beside the unit vector of the query."""

FIRST_LOG_SCALE = 2.7


@dataclass(frozen=True)
class SearchQuery:
    """One search: vectors of its text (Dt,) and picture (Dp,), and of the user (D,); None where there is none."""

    text: Vectors | None = None
    picture: Vectors | None = None
    user: Vectors | None = None


@dataclass(frozen=True)
class QueryTokens:
    """A batch of queries as tensors.

    Attributes:
        text: (B, Dt) float32, zeros where missing.
        picture: (B, Dp) float32, zeros where missing.
        user: (B, D) float32, zeros where missing.
        present: (B, 3) bool, by the order of `QUERY_MODALITIES`.
    """

    text: Tensor
    picture: Tensor
    user: Tensor
    present: Tensor

    @classmethod
    def of(cls, queries: Sequence[SearchQuery], shape: ContentShape, width: int) -> "QueryTokens":
        """The queries as tensors; a modality of width 0 is one that the model was not trained with.

        Raises:
            InvalidMessage: a query that has neither text nor picture, a vector of another width, or one that is not
                finite.
        """
        widths = {"text": shape.text_width, "picture": shape.picture_width, "user": width}
        columns = {name: np.zeros((len(queries), wide), dtype=np.float32) for name, wide in widths.items()}
        present = np.zeros((len(queries), len(QUERY_MODALITIES)), dtype=np.bool_)
        for row, query in enumerate(queries):
            for column, (name, wide) in enumerate(widths.items()):
                vector = getattr(query, name)
                if vector is None or wide == 0:
                    continue
                columns[name][row] = _checked(vector, row, name, wide)
                present[row, column] = True
            if not present[row, :2].any():
                raise InvalidMessage(
                    f"query {row}: found neither a text nor a picture vector that the model reads (it was trained with "
                    f"text of width {shape.text_width}, pictures of width {shape.picture_width}); expected one of "
                    "them; a query without both is no search: recommend by the user's vector"
                )
        return cls(*(torch.from_numpy(array) for array in (*columns.values(), present)))

    def __len__(self) -> int:
        return len(self.present)

    def rows(self, places: Tensor) -> "QueryTokens":
        """The queries at the given places (P,)."""
        return QueryTokens(*(getattr(self, name)[places] for name in self.__dataclass_fields__))


class QueryTower(nn.Module):
    """Queries to unit vectors: `QueryTokens` of B queries -> (B, D).

    The user's vector is added to the query's: the inner product with an item is then a sum of what is asked for and of
    what the user likes, as in Ai et al., HEM (2017), with a learned weight in place of their mixture.
    """

    def __init__(self, shape: ContentShape, width: int, heads: int) -> None:
        super().__init__()
        self.text = _Reader(shape.text_width, width)
        self.picture = _Reader(shape.picture_width, width)
        self.modality = nn.Parameter(torch.randn(2, width) * 0.02)
        self.base = nn.Parameter(torch.zeros(width))
        self.pooling = AttentionPooling(width, heads)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.user = nn.Linear(width, width, bias=False)
        nn.init.eye_(self.user.weight)
        self.trust = nn.Parameter(torch.tensor(FIRST_TRUST))
        self.log_scale = nn.Parameter(torch.tensor(FIRST_LOG_SCALE))

    def begin_as(self, items: ItemTower) -> None:
        """Takes over how an item tower reads text and picture; its pooling where that is attention too."""
        own = [MODALITIES.index(name) for name in QUERY_MODALITIES[:2]]
        self.text.linear.load_state_dict(items.text.state_dict())
        self.picture.linear.load_state_dict(items.picture.state_dict())
        with torch.no_grad():
            self.modality.copy_(items.modality[own])
            self.base.copy_(items.base + items.modality[-1])
        if isinstance(items.pooling, AttentionPooling):
            self.pooling.load_state_dict(items.pooling.state_dict())
        self.norm.load_state_dict(items.norm.state_dict())
        self.feed_forward.load_state_dict(items.feed_forward.state_dict())

    def forward(self, queries: QueryTokens) -> Tensor:
        """Unit vectors (B, D) float32 of the queries."""
        present = functional.pad(queries.present[:, :2], (0, 1), value=True)  # (B, 3): the base is always there
        asked = self.fused(self.tokens(queries), present)  # (B, D)
        liked = self.user(queries.user) * queries.present[:, 2:]  # (B, D)
        return functional.normalize(asked + self.trust * liked, dim=-1, eps=1e-6)

    def tokens(self, queries: QueryTokens) -> Tensor:
        """The tokens of text, picture and base: (B, 3, D)."""
        told = torch.stack([self.text(queries.text), self.picture(queries.picture)], dim=1) + self.modality  # (B, 2, D)
        return torch.cat([told, self.base.expand(len(told), 1, -1)], dim=1)  # (B, 3, D)

    def fused(self, tokens: Tensor, present: Tensor) -> Tensor:
        """One unit vector of the present tokens, in whatever order they come: (B, M, D), (B, M) -> (B, D)."""
        pooled = self.pooling(tokens, present)  # (B, D)
        return functional.normalize(pooled + self.feed_forward(self.norm(pooled)), dim=-1, eps=1e-6)

    def scale(self) -> Tensor:
        """The inverse temperature of the softmax in training; it changes no order. Scalar."""
        return self.log_scale.clamp(max=4.0).exp()


class _Reader(nn.Module):
    """One modality's vector to a token: a linear map, and what it cannot say, which starts as nothing."""

    def __init__(self, given: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(max(given, 1), width)
        last = nn.Linear(4 * width, width)
        self.more = nn.Sequential(nn.Linear(max(given, 1), 4 * width), nn.GELU(), last)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        """Tokens (B, D) of vectors (B, Dt or Dp)."""
        given = vectors if vectors.shape[1] else vectors.new_zeros((len(vectors), 1))
        token: Tensor = self.linear(given) + self.more(given)  # (B, D)
        return token


def _checked(vector: Vectors, row: int, name: str, width: int) -> Vectors:
    if vector.shape != (width,) or not np.isfinite(vector).all():
        raise InvalidMessage(
            f"query {row}: found a {name} vector of shape {vector.shape}"
            f"{'' if np.isfinite(vector).all() else ' with numbers that are not finite'}; expected ({width},), finite; "
            "check that the encoders are those of the training, or train anew"
        )
    return vector
