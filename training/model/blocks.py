"""Causal sequence blocks behind one interface: (B, T, D) -> (B, T, D), position t reads positions up to t alone.

Sequences are right-padded; under the causal mask padding reaches no earlier position, so neither block takes a mask.
B users, T positions, D width, H heads.
"""

from enum import StrEnum

import torch
from torch import Tensor, nn
from torch.nn import functional

LONGEST = 1024
"""Positions that the relative bias of `HstuBlock` tells apart; older ones share the last."""


class BlockKind(StrEnum):
    """The choice of block, by its name in the settings."""

    PRE_NORM = "pre-norm"
    HSTU = "hstu"


class PreNormBlock(nn.Module):
    """Pre-norm causal softmax attention and feed-forward. Xiong et al. (2020), fig. 1b."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = width // heads
        self.dropout = nn.Dropout(dropout)
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """One block over (B, T, D) float32."""
        b, t, _ = x.shape
        heads, each = self.heads, self.head_width  # H * each is D until heads are pruned
        qkv = self.qkv(self.attention_norm(x)).view(b, t, 3, heads, each)  # (B, T, 3, H, D/H)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, T, D/H)
        attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True)  # (B, H, T, D/H)
        x = x + self.dropout(self.out(attended.transpose(1, 2).reshape(b, t, heads * each)))  # (B, T, D)
        fed: Tensor = x + self.dropout(self.feed_forward(self.norm(x)))  # (B, T, D)
        return fed


class HstuBlock(nn.Module):
    """Pointwise attention with a gate and no softmax. Zhai et al., "Actions speak louder than words" (2024), eq. 1-3.

    We differ in two ways: the weights are divided by the number of positions read, not by the longest length, so that a
    sequence's answer does not depend on padding; and the relative bias knows distance alone, since the time gaps are
    part of the input.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)
        self.uvqk = nn.Linear(width, 4 * width)
        self.attended_norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        self.distance = nn.Embedding(LONGEST, heads)
        nn.init.zeros_(self.distance.weight)

    def forward(self, x: Tensor) -> Tensor:
        """One block over (B, T, D) float32."""
        b, t, d = x.shape
        gate, *qkv = functional.silu(self.uvqk(self.norm(x))).chunk(4, dim=-1)  # each (B, T, D)
        value, query, key = (part.view(b, t, self.heads, d // self.heads).transpose(1, 2) for part in qkv)
        places = torch.arange(t, device=x.device)
        ages = places.unsqueeze(1) - places  # (T, T)
        bias = self.distance(ages.clamp(0, LONGEST - 1)).permute(2, 0, 1)  # (H, T, T)
        weights = functional.silu(query @ key.transpose(-1, -2) * (d // self.heads) ** -0.5 + bias)  # (B, H, T, T)
        weights = weights.masked_fill(ages < 0, 0.0) / (places + 1).unsqueeze(1)  # (B, H, T, T)
        attended = (weights @ value).transpose(1, 2).reshape(b, t, d)  # (B, T, D)
        mixed: Tensor = x + self.dropout(self.out(self.attended_norm(attended) * gate))  # (B, T, D)
        return mixed


def make_block(kind: BlockKind, width: int, heads: int, dropout: float) -> nn.Module:
    """A block of the chosen kind."""
    return (HstuBlock if kind == BlockKind.HSTU else PreNormBlock)(width, heads, dropout)
