"""Rows for the churn head: users with a purchase before a cut, and whether they bought nothing in the time after it.

Several cuts make several rows of a user; the last label must end before anything that is tested begins. R rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch
from torch import Tensor

from contracts.clock import from_ms
from contracts.errors import NotEnoughData
from contracts.events import EventKind
from contracts.ids import UserId
from training.data.histories import Histories
from training.data.sequences import UserSequence
from training.model.recency import recency_features
from training.model.vocabulary import kind_row

HORIZON = timedelta(days=90)
CUT_EVERY = timedelta(days=30)
CUTS = 6
_PURCHASE = kind_row(EventKind.PURCHASE)


@dataclass(frozen=True)
class ChurnRows:
    """Users at cuts.

    Attributes:
        users: Who each row is of.
        histories: Their interactions before the cut.
        recency: (R, F) float32 by `RECENCY_FEATURES`.
        gone: (R,) float32: 1 where no purchase came within the horizon; empty when nothing is known of it.
    """

    users: tuple[UserId, ...]
    histories: Histories
    recency: Tensor
    gone: Tensor


def churn_rows(users: Sequence[UserSequence], cuts_ms: Sequence[int], horizon: timedelta = HORIZON) -> ChurnRows:
    """One row a cut and a user with a purchase before it.

    Args:
        users: Sequences that reach to the end of the last horizon.
        cuts_ms: Cuts, ms since the epoch.
        horizon: The time in which a purchase keeps a user.

    Raises:
        NotEnoughData: no user has bought before any of the cuts.
    """
    chosen: list[tuple[UserSequence, int]] = []
    gone: list[float] = []
    for cut_ms in cuts_ms:
        until_ms = cut_ms + round(horizon.total_seconds() * 1000)
        for user in users:
            history = user.before(cut_ms)
            if not (history.kinds == _PURCHASE).any():
                continue
            after = slice(len(history), int(np.searchsorted(user.times_ms, until_ms)))
            chosen.append((history, cut_ms))
            gone.append(float(not (user.kinds[after] == _PURCHASE).any()))
    if not chosen:
        named = ", ".join(from_ms(cut).isoformat() for cut in cuts_ms)
        raise NotEnoughData(f"found no user with a purchase before {named}; expected some; collect events for longer")
    recency = np.stack([recency_features(user.items, user.kinds, user.times_ms, at_ms) for user, at_ms in chosen])
    return ChurnRows(
        tuple(user.user_id for user, _ in chosen), Histories.of(chosen), torch.from_numpy(recency), torch.tensor(gone)
    )


def training_cuts(first_ms: int, until_ms: int, horizon: timedelta = HORIZON) -> list[int]:
    """Cuts (ms), newest first, whose labels end by `until_ms`: `CUTS` of them at most, `CUT_EVERY` apart.

    Args:
        first_ms: Time of the oldest interaction: a cut leaves at least `CUT_EVERY` of history before it.
        until_ms: End of what may be known.
        horizon: As `churn_rows`.

    Raises:
        NotEnoughData: the interactions cover less than a horizon and `CUT_EVERY`.
    """
    every_ms, horizon_ms = (round(span.total_seconds() * 1000) for span in (CUT_EVERY, horizon))
    cuts = [until_ms - horizon_ms - every_ms * place for place in range(CUTS)]
    kept = [cut for cut in cuts if cut >= first_ms + every_ms]
    if not kept:
        raise NotEnoughData(
            f"found interactions from {from_ms(first_ms).isoformat()} to {from_ms(until_ms).isoformat()}; expected at "
            f"least {horizon.days + CUT_EVERY.days} days of them; choose a shorter horizon or collect for longer"
        )
    return kept
