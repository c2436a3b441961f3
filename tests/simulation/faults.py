"""What happens to the workers, drawn from a seed: the times, the kinds, and how each is done."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.world import World

UNTIL_S = 14.0


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        at_s: When, virtual seconds.
        name: Which, a key of `KINDS`.
        lasts_s: How long.
        number: Which worker; also a small number for other uses.
    """

    at_s: float
    name: str
    lasts_s: float
    number: int


def drawn(random: Random) -> list[Fault]:
    """The faults of a run, by time."""
    count = random.randint(1, 7)
    names = list(KINDS)
    found = [
        Fault(random.uniform(0.5, UNTIL_S), random.choice(names), random.uniform(0.3, 6.0), random.randrange(60))
        for _ in range(count)
    ]
    return sorted(found, key=lambda fault: fault.at_s)


def _kill(world: "World", fault: Fault) -> None:
    world.kill(fault.number, lose_copies=fault.number % 3 == 0)


def _kill_in_a_call(world: "World", fault: Fault) -> None:
    world.pick(fault.number).life.kill_after = fault.number // 3


def _stop(world: "World", fault: Fault) -> None:
    world.stop(fault.number)


def _zombie(world: "World", fault: Fault) -> None:
    consumer = world.pick(fault.number).group.consumer
    if consumer is not None:
        consumer.mute_until_s = world.loop.time() + 2.0 + fault.lasts_s


def _freeze(world: "World", fault: Fault) -> None:
    world.pick(fault.number).life.thaw_s = world.loop.time() + 1.0 + fault.lasts_s


def _log_away(world: "World", fault: Fault) -> None:
    world.broker.available = False
    world.later(fault.lasts_s, lambda: setattr(world.broker, "available", True))


def _store_away(world: "World", fault: Fault) -> None:
    world.store.available = False
    world.later(fault.lasts_s, lambda: setattr(world.store, "available", True))


def _store_empty(world: "World", fault: Fault) -> None:
    world.store.lose_everything()


def _disk_full(world: "World", fault: Fault) -> None:
    life = world.pick(fault.number).life
    life.disk_full = True
    world.later(fault.lasts_s, lambda: setattr(life, "disk_full", False))


def _joins(world: "World", fault: Fault) -> None:
    world.join()


def _dies_at_its_start(world: "World", fault: Fault) -> None:
    world.join().life.kill_on_disk = fault.number % 12


KINDS: dict[str, Callable[["World", Fault], None]] = {
    "a worker is killed": _kill,
    "a worker is killed in a call": _kill_in_a_call,
    "a worker ends cleanly": _stop,
    "a worker's heartbeats are lost": _zombie,
    "a worker is frozen": _freeze,
    "the log is away": _log_away,
    "the store is away": _store_away,
    "the store loses its rows": _store_empty,
    "a disk is full": _disk_full,
    "a worker joins": _joins,
    "a worker joins, and is killed while it writes to its disk": _dies_at_its_start,
}
