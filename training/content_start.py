"""Where the content of items starts: as the best linear guess of where behaviour puts an item.

An item that nobody has touched is then ranked by what its words, picture and attributes say of the company that it will
keep. As the linear attribute-to-feature map of Gantner et al., "Learning attribute-to-feature mappings for cold-start
recommendations" (2010), sec. 4.3; we differ in that it is only where training starts.

N items, D width, F content columns (text, picture, attribute buckets, one that is always 1).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.model.content import MODALITIES, ContentTable
from training.model.fusion import FusionTransformer
from training.model.item_tower import ItemTower
from training.model.vocabulary import ATTRIBUTE_BUCKETS

TOKEN_LENGTH = 0.5
"""Mean length of a guess as a share of the root of D: many times that of what is drawn at random beside it."""

RIDGES = (3.0, 10.0, 30.0, 100.0)
"""Strengths of the penalty to choose from, in items: how many of them it takes to believe an attribute by half."""

RARE = 5.0
"""Touches at which an item counts half: the vector of a rarer one is mostly chance."""

LEAST_ITEMS = 10
"""Touched items with content, at least: fewer teach nothing."""

MOST_ITEMS = 20_000
"""Touched items with content that the guess is made from, at most: those touched most, which tell most."""

_ITEMS_A_STEP = 4096
_ID = MODALITIES.index("id")


def begin_with_content(model: FusionTransformer, table: ContentTable, vectors: Tensor, touches: Tensor) -> None:
    """Sets how a fresh model on the CPU reads content. Too few touched items with content change nothing.

    The penalty is the one that guesses a fifth of the items best from the others.

    Args:
        model: A fresh one.
        table: Content of the items.
        vectors: (N, D) where behaviour puts the items.
        touches: (N,) how often each was touched; items that nobody touched are not learned from.
    """
    count = min(MOST_ITEMS, int((touches > 0).sum()))
    touched = torch.argsort(touches, descending=True, stable=True)[:count].sort().values  # (count,)
    tokens = table.tokens(touched.numpy())
    told = tokens.present[:, :_ID].any(1)
    known = touched[told]  # (K,)
    if len(known) < LEAST_ITEMS:
        return
    columns = _Columns.of(table, tokens.attributes[told])
    held = torch.arange(len(known)) % 5 == 0  # (K,)
    learned, judged = (_Moments.of(columns, vectors, touches, known[part]) for part in (~held, held))
    ridge = min(RIDGES, key=lambda strength: judged.error(learned.solved(strength)))
    guess = (learned + judged).solved(ridge).float()  # (F, D)
    typical = (columns.of_items(known[:_ITEMS_A_STEP]).float() @ guess).norm(dim=1).mean()
    guess *= TOKEN_LENGTH * model.config.width**0.5 / typical.clamp(min=1e-6)
    columns.write(guess, model.item_tower)


@dataclass(frozen=True)
class _Columns:
    """What is known of items as columns; of the attribute buckets only those in use: `buckets` (K,)."""

    table: ContentTable
    buckets: Tensor

    @classmethod
    def of(cls, table: ContentTable, attributes: Tensor) -> "_Columns":
        used = torch.unique(attributes)
        return cls(table, used[used > 0])

    def of_items(self, places: Tensor) -> Tensor:
        """The columns of items, as the item tower adds their tokens up: (n,) places -> (n, F) float64."""
        tokens = self.table.tokens(places.numpy())
        n, last = len(places), len(self.buckets)
        place = torch.full((ATTRIBUTE_BUCKETS,), last)
        place[self.buckets] = torch.arange(last)
        others = (tokens.attributes[:, 3:] > 0).sum(1, keepdim=True).clamp(min=1)  # (n, 1)
        weights = torch.ones(tokens.attributes.shape, dtype=torch.float64)  # (n, A)
        weights[:, 3:] /= others
        bucketed = torch.zeros((n, last + 1), dtype=torch.float64)  # the last takes what is missing or not in use
        bucketed.scatter_add_(1, place[tokens.attributes], weights)
        bucketed[:, last] = 1.0  # and is then the column that is always 1
        return torch.cat([tokens.text.double(), tokens.picture.double(), bucketed], dim=1)

    def write(self, guess: Tensor, tower: ItemTower) -> None:
        """Makes a guess (F, D) what an item tower begins with; its tokens are then pooled as they are."""
        shape = self.table.shape
        text, picture, attributes, always = torch.split(
            guess, [shape.text_width, shape.picture_width, len(self.buckets), 1]
        )
        with torch.no_grad():
            for linear, part in ((tower.text, text), (tower.picture, picture)):
                if len(part):
                    linear.weight.copy_(part.T)
                    linear.bias.zero_()
            tower.attributes.weight.zero_()
            tower.attributes.weight[self.buckets] = attributes
            tower.base.copy_(always[0])
        tower.begin_open()


@dataclass(frozen=True)
class _Moments:
    """Weighted second moments of items: of their columns, (F, F), and of columns with vectors, (F, D); float64."""

    among: Tensor
    across: Tensor

    @classmethod
    def of(cls, columns: _Columns, vectors: Tensor, touches: Tensor, places: Tensor) -> "_Moments":
        among, across = torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        for part in torch.split(places, _ITEMS_A_STEP):
            read = columns.of_items(part)  # (n, F)
            weighted = read * (touches[part] / (touches[part] + RARE)).double().unsqueeze(1)  # (n, F)
            among = among + read.T @ weighted
            across = across + weighted.T @ vectors[part].double()
        return cls(among, across)

    def __add__(self, other: "_Moments") -> "_Moments":
        return _Moments(self.among + other.among, self.across + other.across)

    def solved(self, ridge: float) -> Tensor:
        """The ridge regression of vectors on columns, (F, D); the last column is not penalised."""
        penalty = torch.full((len(self.among),), ridge, dtype=torch.float64)
        penalty[-1] = 1e-6
        factor: Tensor = torch.linalg.cholesky(self.among + torch.diag(penalty))
        return torch.cholesky_solve(self.across, factor)

    def error(self, guess: Tensor) -> float:
        """Squared error of a guess on the items, up to what is the same for every guess."""
        return float((guess * (self.among @ guess)).sum() - 2 * (guess * self.across).sum())
