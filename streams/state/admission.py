"""Which events a state has already folded: what makes at-least-once delivery count once.

Two memories. The high mark is the last place of `events` that was folded: the log is read in order, so any place up to
it is a redelivery, however many there are. The ring keeps the newest event ids (as 64-bit hashes) and finds an event
that was sent twice and so stands in the log at two places.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from contracts.ids import EventId

RING_LENGTH = 128
"""Event ids remembered per user. An event sent again after more than this many others of the user counts again."""


@dataclass(frozen=True)
class Place:
    """Where a message stands in its topic."""

    partition: int
    offset: int


class Outcome(StrEnum):
    """What a fold did with an event; the value is the metric's label."""

    COUNTED = "counted"
    LATE = "late"
    DUPLICATE = "duplicate"
    REDELIVERED = "redelivered"

    @property
    def new(self) -> bool:
        """Whether the event was folded: late events are, duplicates and redeliveries are not."""
        return self in (Outcome.COUNTED, Outcome.LATE)


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """The high mark and the ring, oldest hash first."""

    partition: int = -1
    offset: int = -1
    ring: tuple[int, ...] = ()


def admit(seen: Seen, event_id: EventId, place: Place) -> tuple[Seen, Outcome]:
    """Whether the event at `place` is new, and what has been seen after it.

    A redelivery leaves `seen` as it is; a duplicate moves the high mark only.
    """
    if place.partition == seen.partition and place.offset <= seen.offset:
        return seen, Outcome.REDELIVERED
    digest = int.from_bytes(hashlib.blake2b(event_id.encode(), digest_size=8).digest())
    if digest in seen.ring:
        return Seen(place.partition, place.offset, seen.ring), Outcome.DUPLICATE
    return Seen(place.partition, place.offset, (*seen.ring, digest)[-RING_LENGTH:]), Outcome.COUNTED
