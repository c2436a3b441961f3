"""The numbers that the folds obey, in one place: gaps, half-lives, windows, and how much interest each kind shows.

They travel as a value, so that a fold is a function of its arguments alone.
"""

from dataclasses import dataclass
from typing import Self

from contracts.events import EventKind, Impression, Interaction, Rating
from contracts.settings import Settings

INTEREST: dict[EventKind, float] = {
    EventKind.VIEW: 1.0,
    EventKind.CLICK: 1.0,
    EventKind.ADD_TO_CART: 3.0,
    EventKind.PURCHASE: 5.0,
    EventKind.RATING: 3.0,
}
"""Weight of one interaction in affinities, where a rating's is scaled by `rating_sign`, and in the trend."""

NEUTRAL_STARS = 3.0
"""A rating at or below shows no interest: see `shows_interest`. Below it takes affinity away."""


@dataclass(frozen=True)
class Rules:
    """What the folds need of the settings.

    Attributes:
        session_gap_ms: A pause longer than this ends a session.
        attribution_window_ms: How long after an impression an interaction still counts as its outcome.
        affinity_half_life_ms: After it a category or brand weighs half.
        trend_half_life_ms: After it an interaction weighs half in the trend.
        co_visit_half_life_ms: After it a co-visit weighs half among the neighbours.
        late_after_ms: An event older than the newest one by more than this is late.
    """

    session_gap_ms: int = 1_800_000
    attribution_window_ms: int = 1_800_000
    affinity_half_life_ms: int = 7 * 86_400_000
    trend_half_life_ms: int = 6 * 3_600_000
    co_visit_half_life_ms: int = 30 * 86_400_000
    late_after_ms: int = 300_000

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The rules that the settings name, in milliseconds."""
        return cls(
            session_gap_ms=settings.session_gap_s * 1000,
            attribution_window_ms=settings.attribution_window_s * 1000,
            affinity_half_life_ms=settings.affinity_half_life_s * 1000,
            trend_half_life_ms=settings.trend_half_life_s * 1000,
        )


def rating_sign(stars: float) -> float:
    """How a rating scales its interest: 5 stars 1, 3 stars 0, 1 star -1."""
    return (stars - NEUTRAL_STARS) / 2


def shows_interest(event: Impression | Interaction) -> bool:
    """Whether an event may stand in a history, raise a trend and be learned from as a positive: not a low rating."""
    return not (isinstance(event, Rating) and event.stars <= NEUTRAL_STARS)
