"""What `millstream replay` can be given: a shop's own file, or a public log by name."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.catalogue import Item
from contracts.clock import utc_now
from contracts.errors import BadInput
from contracts.events import Interaction
from millstream.sources import complete_journey, online_retail
from millstream.sources.event_files import read_events
from millstream.sources.rejects import Rejects
from millstream.sources.rows import count_rows, read_rows


@dataclass(frozen=True)
class ReplayLog:
    """A log ready to be replayed.

    Attributes:
        name: For people.
        events: Opens the events, in their order.
        count: How many rows there are, for progress.
        items: The log's own catalogue; None when the shop's is loaded already.
        remarks: What a person must know of it.
    """

    name: str
    events: Callable[[], Iterator[Interaction]]
    count: int
    items: Sequence[Item] | None = None
    remarks: tuple[str, ...] = ()


def open_replay(what: str, path: str, rejects: Rejects) -> ReplayLog:
    """The log that a person named.

    Args:
        what: A data set's name or a file.
        path: Where the data set's file lies, for those that are not in a package.
        rejects: Takes the rows that are wrong.

    Raises:
        BadInput: no such data set or file, or its path is missing.
    """
    if what == "complete-journey":
        log = complete_journey.demo_log(utc_now())
        return ReplayLog(what, lambda: iter(log.history), len(log.history), log.items, (complete_journey.REMARK,))
    if what == "online-retail":
        if not path:
            raise BadInput("found no path; expected: millstream replay online-retail PATH (a Parquet or CSV file)")
        source = online_retail.OnlineRetail(Path(path), rejects)
        return ReplayLog(what, source.events, source.rows, source.items(), (online_retail.REMARK,))
    file = Path(what)
    if not file.suffix:
        raise BadInput(f"found {what!r}; expected a file, or one of: complete-journey, online-retail")
    read_rows(file)
    return ReplayLog(file.name, lambda: read_events(file, rejects), count_rows(file))
