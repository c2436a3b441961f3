"""The user tower: a causal pre-norm transformer over interactions plus a decayed mean of their items.

Sequences are right-padded: under a causal mask padding can influence no earlier position, so padded equals unpadded.
B users, T interactions (at most the history length), D width. Position 0 of the output is the learned start token's.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from contracts.features import HISTORY_LENGTH
from training.model.vocabulary import GAP_BUCKETS, KINDS


class Block(nn.Module):
    """Pre-norm causal attention and feed-forward: (B, T, D) -> (B, T, D). Xiong et al. (2020), fig. 1b."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """One block over (B, T, D) float32."""
        b, t, d = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(b, t, 3, self.heads, d // self.heads)  # (B, T, 3, H, D/H)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, T, D/H)
        attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True)  # (B, H, T, D/H)
        x = x + functional.dropout(
            self.out(attended.transpose(1, 2).reshape(b, t, d)), self.dropout, self.training
        )  # (B, T, D)
        fed: Tensor = x + self.feed_forward(self.norm(x))  # (B, T, D)
        return fed


class UserTower(nn.Module):
    """Interactions to unit user vectors, one for the start and one after each interaction."""

    def __init__(self, width: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.randn(width) * 0.02)
        self.item = nn.Linear(width, width)
        self.kind = nn.Embedding(len(KINDS) + 1, width)
        self.gap = nn.Embedding(GAP_BUCKETS, width)
        self.position = nn.Embedding(HISTORY_LENGTH + 1, width)
        for table in (self.kind, self.gap, self.position):
            nn.init.normal_(table.weight, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.decay = nn.Parameter(torch.tensor(5.0))
        self.recent = nn.Parameter(torch.tensor(1.0))

    def forward(self, items: Tensor, kinds: Tensor, gaps: Tensor) -> Tensor:
        """User vectors of all prefixes.

        Args:
            items: (B, T, D) float32 item vectors, oldest first, right-padded with anything.
            kinds: (B, T) int64 rows of the kind embedding.
            gaps: (B, T) int64 buckets of the time to the next interaction (to now for the last one).

        Returns:
            (B, T + 1, D) float32 of unit length; position t is the user after t interactions.
        """
        b, t, d = items.shape
        steps = self.item(items) + self.kind(kinds) + self.gap(gaps)  # (B, T, D)
        x = torch.cat([self.start.expand(b, 1, d), steps], dim=1)  # (B, T + 1, D)
        x = self.dropout(x + self.position.weight[: t + 1])  # (B, T + 1, D)
        for block in self.blocks:
            x = block(x)
        recent = torch.cat([self.start.expand(b, 1, d), self._recent(items)], dim=1)  # (B, T + 1, D)
        return functional.normalize(self.out(self.norm(x)) + self.recent * recent, dim=-1, eps=1e-6)

    def _recent(self, items: Tensor) -> Tensor:
        """The decayed mean of the items so far at each position, (B, T, D): similar items, before anything is learned.

        As the item-similarity half of FISM (Kabbur et al. 2013, eq. 3); we weigh by recency, with a learned decay.
        """
        t = items.shape[1]
        ages = torch.arange(t, device=items.device).view(t, 1) - torch.arange(t, device=items.device)  # (T, T)
        weights = torch.where(ages >= 0, torch.sigmoid(self.decay) ** ages.clamp(min=0), 0.0)  # (T, T)
        return (weights / weights.sum(1, keepdim=True).clamp(min=1e-6)) @ items  # (B, T, D)
