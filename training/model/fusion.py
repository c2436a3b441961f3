"""The fusion transformer: item tower and user tower in one space, retrieval by inner product, heads for ranking.

The retrieval logit is `exp(log_scale) * <user, item> + bias[item]`; the bias is a learned popularity that only ranking
adds, since a vector index knows inner products alone. Ranking mixes the softmax of these logits with the counts of what
follows what (`mixture.py`), by the share `neighbour_share`. N items, B users, T interactions, D width.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from contracts.errors import NoModel
from training.model.blocks import BlockKind
from training.model.content import ContentShape, ItemTokens
from training.model.fusions import FusionKind
from training.model.heads import RankingHeads
from training.model.item_tower import ItemTower
from training.model.query_tower import QueryTokens, QueryTower
from training.model.user_tower import UserTower

MOST_LOG_SCALE = 4.0
FIRST_LOG_SCALE = 2.7
"""Where the log of the inverse temperature starts: at a low one unit vectors hardly tell items apart."""


@dataclass(frozen=True)
class FusionConfig:
    """Sizes and choices of the model. `dropout` is the user tower's, `modality_dropout` the item tower's.

    `queries` says whether the model has a query tower: see `FusionTransformer.add_query_tower`.
    """

    content: ContentShape
    width: int = 64
    layers: int = 2
    attention_heads: int = 4
    dropout: float = 0.3
    block: BlockKind = BlockKind.PRE_NORM
    modality_dropout: float = 0.1
    fusion: FusionKind = FusionKind.ATTENTION
    queries: bool = False


class FusionTransformer(nn.Module):
    """The whole model; `items`, `users`, `queries` and `heads` are its exits."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.config = config
        self.item_tower = ItemTower(
            config.content, config.width, config.attention_heads, config.modality_dropout, config.fusion
        )
        self.user_tower = UserTower(config.width, config.layers, config.attention_heads, config.dropout, config.block)
        self.heads = RankingHeads(config.width)
        self.bias = nn.Embedding(config.content.id_rows + 1, 1, padding_idx=0)
        nn.init.zeros_(self.bias.weight)
        self.log_scale = nn.Parameter(torch.tensor(FIRST_LOG_SCALE))
        self.neighbour_share: Tensor
        self.register_buffer("neighbour_share", torch.zeros(()))
        self.query_tower = QueryTower(config.content, config.width, config.attention_heads) if config.queries else None

    def add_query_tower(self) -> QueryTower:
        """A new query tower, begun as the item tower, in place of the one that the model may have."""
        tower = self.query_tower = QueryTower(self.config.content, self.config.width, self.config.attention_heads)
        tower.begin_as(self.item_tower)
        self.config = replace(self.config, queries=True)
        return tower

    def items(self, tokens: ItemTokens) -> Tensor:
        """Unit item vectors (N, D)."""
        vectors: Tensor = self.item_tower(tokens)
        return vectors

    def users(self, items: Tensor, kinds: Tensor, gaps: Tensor) -> Tensor:
        """Unit user vectors (B, T + 1, D) of all prefixes; arguments as `UserTower.forward`."""
        vectors: Tensor = self.user_tower(items, kinds, gaps)
        return vectors

    def queries(self, tokens: QueryTokens) -> Tensor:
        """Unit query vectors (B, D). Raises NoModel where the model was not fitted to queries."""
        if self.query_tower is None:
            raise NoModel(
                "found a model without a query tower; expected one that was fitted to queries; search by the encoders' "
                "vectors, or fit one (training.query_training)"
            )
        vectors: Tensor = self.query_tower(tokens)
        return vectors

    def scale(self) -> Tensor:
        """The inverse temperature of the softmax, at most e^4; scalar."""
        return self.log_scale.clamp(max=MOST_LOG_SCALE).exp()

    def item_bias(self, ids: Tensor) -> Tensor:
        """Learned popularity of id rows: (N,) int64 -> (N,)."""
        bias: Tensor = self.bias(ids)
        return bias.squeeze(-1)  # (N,)

    def catalogue_logits(self, users: Tensor, items: Tensor, ids: Tensor) -> Tensor:
        """Retrieval logits of users (B, D) against items (N, D) with id rows (N,): (B, N)."""
        return self.scale() * users @ items.T + self.item_bias(ids)

    def pair_logits(self, users: Tensor, items: Tensor, ids: Tensor) -> Tensor:
        """Retrieval logits of pairs: (B, D), (B, D), (B,) -> (B,)."""
        return self.scale() * (users * items).sum(-1) + self.item_bias(ids)
