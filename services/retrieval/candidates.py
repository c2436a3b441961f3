"""What a candidate source is asked and what it answers.

A source says what it found and which part it missed; what it raises beyond that, the flow counts and goes on with the
other sources.
"""

from dataclasses import dataclass
from typing import Protocol

from contracts.features import UserFeatures
from contracts.ids import ItemId
from contracts.requests import Degradation, Source
from training.model.serving import History

CONTEXT_ITEMS = 10
"""Distinct items of the moment and of the history that co-visits and content start from."""


@dataclass(frozen=True)
class Candidate:
    """An item that one source proposes. `score` orders the source's own list only."""

    item_id: ItemId
    score: float


@dataclass(frozen=True)
class Query:
    """One request as the sources see it.

    Attributes:
        history: The user's interactions, then the items of the moment as views, oldest first.
        user: The user's row; None for an unknown or anonymous user.
        context: Items of the moment, then the newest of the history, each once, nearest first.
        category: The only category wanted; None for all.
        limit: Candidates wanted from each source.
        now_ms: Time of the request, ms since the epoch.
    """

    history: History
    user: UserFeatures | None
    context: tuple[ItemId, ...]
    category: str | None
    limit: int
    now_ms: int


@dataclass(frozen=True)
class Found:
    """At most `Query.limit` candidates, best first, and the parts that were missing when they were looked for."""

    candidates: list[Candidate]
    missing: frozenset[Degradation] = frozenset()


class CandidateSource(Protocol):
    """Proposes items for a query."""

    name: Source

    async def find(self, query: Query) -> Found:
        """The candidates; what is away is named in `missing`, not raised."""
        ...


@dataclass(frozen=True)
class Merged:
    """A candidate after the merge: its fused score and the sources that proposed it, strongest first."""

    item_id: ItemId
    score: float
    sources: tuple[Source, ...] = ()
