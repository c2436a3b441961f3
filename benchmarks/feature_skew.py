"""The row that an answer was made with beside the row that training joins: `python -m benchmarks.feature_skew`.

Each impression notes how many events the served user row had. The join gives the row just before the answer began.
The served one may have fewer, where a click had not yet been folded and written, or more, where one came in while the
answer was made. Run it on the state that a demo left.
"""

import argparse
from collections import Counter
from dataclasses import dataclass

from benchmarks.machine import machine, save
from contracts.clock import to_ms
from contracts.events import EventKind
from contracts.ids import UserId
from contracts.settings import Settings, settings
from feature_repo.archive import ArchiveReader
from training.data.archived_log import archive_join
from training.data.feature_join import Wanted

_COLUMNS = ("kind", "user_id", "at", "features_event_count", "model_version")


@dataclass(frozen=True)
class Skew:
    """Impressions by served minus joined event count: 0 where serving and training see the same row.

    Attributes:
        behind_ms: Of each impression made with fewer events: ms since the newest event that it lacked.
    """

    by_difference: dict[int, int]
    behind_ms: tuple[int, ...]

    @property
    def compared(self) -> int:
        """Impressions in all."""
        return sum(self.by_difference.values())

    @property
    def equal_share(self) -> float:
        """The share of impressions made with the row that is joined, from 0 to 1."""
        return self.by_difference.get(0, 0) / max(self.compared, 1)


def skew(config: Settings) -> Skew:
    """Compares all archived impressions; an answer without a row has no events."""
    rows = [
        row
        for row in ArchiveReader(config.archive_dir).read("events", _COLUMNS).to_pylist()
        if row["kind"] == EventKind.IMPRESSION
    ]
    joined = archive_join(config)(Wanted(users=tuple((UserId(row["user_id"]), to_ms(row["at"])) for row in rows)))
    differences: Counter[int] = Counter()
    behind_ms = []
    for row, found in zip(rows, joined.users, strict=True):
        difference = (row["features_event_count"] or 0) - (found.event_count if found else 0)
        differences[difference] += 1
        if difference < 0 and found is not None:
            behind_ms.append(to_ms(row["at"]) - found.last_event_ms)
    return Skew(dict(differences), tuple(sorted(behind_ms)))


def main() -> None:
    """Compares and prints."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--save", action="store_true")
    given = arguments.parse_args()
    found = skew(settings())
    print(f"{found.compared} impressions: {found.equal_share:.1%} made with the very row that training joins")
    for difference, count in sorted(found.by_difference.items()):
        print(f"  {difference:+d} events: {count}")
    if found.behind_ms:
        middle, last = found.behind_ms[len(found.behind_ms) // 2], found.behind_ms[-1]
        print(f"  made {middle} ms (median), at most {last} ms, after an event that was not yet in the row")
    if given.save:
        result = {
            "machine": machine(),
            "impressions": found.compared,
            "by_difference": found.by_difference,
            "behind_ms": found.behind_ms,
        }
        print("saved:", save("feature_skew", result))


if __name__ == "__main__":
    main()
