"""The stamps of one event in little room: about half a kilobyte, where nine `TraceStamp`s take ten.

A replica keeps the stamps of tens of thousands of events, so that their size is a good part of its memory.
"""

import sys
from array import array
from datetime import UTC, datetime, timedelta

from contracts.ids import EventId, ModelVersion, RequestId
from contracts.traces import Stage, TraceStamp

_PLACES = {stage: place for place, stage in enumerate(Stage)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_YET = -(2**63)


class KeptStamps:
    """The time of each stage in microseconds since the epoch, and by which version and request it was passed.

    A stage's first stamp counts.
    """

    __slots__ = ("_at_us", "_by")

    def __init__(self) -> None:
        self._at_us = array("q", [_NOT_YET] * len(_PLACES))
        self._by: dict[Stage, tuple[ModelVersion | None, RequestId | None]] | None = None

    def __contains__(self, stage: Stage) -> bool:
        return self._at_us[_PLACES[stage]] != _NOT_YET

    def add(self, stamp: TraceStamp) -> bool:
        """Takes a stamp.

        Returns:
            False where its stage has one already.
        """
        if stamp.stage in self:
            return False
        self._at_us[_PLACES[stamp.stage]] = (stamp.at - _EPOCH) // timedelta(microseconds=1)
        if stamp.model_version is not None or stamp.request_id is not None:
            version = stamp.model_version
            # Thousands of stamps name one version.
            shared = None if version is None else ModelVersion(sys.intern(version))
            self._by = {**(self._by or {}), stamp.stage: (shared, stamp.request_id)}
        return True

    def seconds_to(self, stage: Stage) -> float | None:
        """Seconds from RECEIVED to `stage`; None when one of them is not stamped."""
        if Stage.RECEIVED not in self or stage not in self:
            return None
        return (self._at_us[_PLACES[stage]] - self._at_us[_PLACES[Stage.RECEIVED]]) / 1_000_000

    def stamps(self, event_id: EventId) -> tuple[TraceStamp, ...]:
        """The stamps as they came, in the order of the stages."""
        found = []
        for stage, place in _PLACES.items():
            if self._at_us[place] != _NOT_YET:
                version, request = (self._by or {}).get(stage, (None, None))
                at = _EPOCH + timedelta(microseconds=self._at_us[place])
                found.append(
                    TraceStamp(event_id=event_id, stage=stage, at=at, model_version=version, request_id=request)
                )
        return tuple(found)
