"""How far a search is, told as its trials end; imported only where Ray Tune runs.

A search keeps its callbacks in its folder, and a resumed one brings them back: this one holds nothing, and whom it
tells belongs to the process.
"""

from typing import Any, ClassVar

from ray.tune import Callback
from ray.tune.experiment import Trial

from training.loop import Progress


class SearchProgress(Callback):  # type: ignore[misc]
    """Tells `told` the share of the `total` trials that are done."""

    told: ClassVar[Progress | None] = None
    total: ClassVar[int] = 1

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Counts one more than those that have ended: this one is about to."""
        self._tell(1 + sum(other.is_finished() for other in trials if other is not trial))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """As `on_trial_complete`."""
        self.on_trial_complete(iteration, trials, trial)

    def _tell(self, done: int) -> None:
        if SearchProgress.told is not None:
            SearchProgress.told(f"trial {done} of {self.total}", min(1.0, done / self.total))
