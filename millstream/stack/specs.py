"""What a process of the stack is, before it runs: its command, what it needs, when it counts as ready."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from millstream.stack.ports import Port

Probe = Callable[[], bool]
"""Whether the process is ready now; answers within about a second and raises nothing."""


@dataclass(frozen=True)
class ProcessSpec:
    """One process.

    Attributes:
        name: Short name, unique in the stack.
        title: What a person reads while it starts.
        command: Program and arguments.
        log: File that takes its output.
        ready: Readiness; None for a one-shot step, which is done when it exits with 0.
        needs: Names that must be ready or done before it starts.
        ports: What it listens on.
        extra: Environment variables of its own, beyond the settings.
        ready_within_s: After this long without readiness it counts as dead.
        stop_grace_s: How long an orderly end may take.
        carries_log: Whether the log's content dies with it, so that a restart must restore the log (embedded broker).
    """

    name: str
    title: str
    command: tuple[str, ...]
    log: Path
    ready: Probe | None
    needs: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)
    ready_within_s: float = 60.0
    stop_grace_s: float = 10.0
    carries_log: bool = False

    @property
    def one_shot(self) -> bool:
        """Whether it is a step that ends, not a server that stays."""
        return self.ready is None


def in_order(specs: tuple[ProcessSpec, ...]) -> list[list[ProcessSpec]]:
    """The specs in layers: each layer needs only earlier ones. Stopping goes through them backwards.

    Raises:
        ValueError: a need is unknown or the needs form a circle.
    """
    placed: set[str] = set()
    layers: list[list[ProcessSpec]] = []
    left = list(specs)
    while left:
        layer = [spec for spec in left if placed.issuperset(spec.needs)]
        if not layer:
            raise ValueError(f"found needs that cannot be met among {[spec.name for spec in left]}")
        layers.append(layer)
        placed.update(spec.name for spec in layer)
        left = [spec for spec in left if spec not in layer]
    return layers
