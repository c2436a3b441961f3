"""The one-shot steps of starting the stack: `python -m millstream.stack.prepare topics|features`.

Each is a process of its own, so that the slow import of Feast overlaps with the start of the engines.
"""

import sys

from contracts.errors import MillstreamError
from contracts.settings import Settings, settings
from contracts.topics import TOPICS
from eventlog.admin import create_topics, wait_for_broker
from millstream.console import err
from millstream.stack.fresh import restore_dir

BROKER_WAIT_S = 30.0


def create_all_topics(given: Settings) -> None:
    """Creates the topics of the wiring map that are not there yet, and restores a lost log. Raises LogUnavailable."""
    wait_for_broker(given.bootstrap, BROKER_WAIT_S)
    create_topics(given.bootstrap, TOPICS, embedded=given.embedded_broker)
    if restore_dir(given).exists():
        from millstream.stack.restore import restore_log

        restore_log(given)


def apply_feature_definitions(given: Settings) -> None:
    """Registers the feature definitions with Feast. Raises FeaturesUnavailable."""
    from feature_repo.store_config import apply

    apply(given)


STEPS = {"topics": create_all_topics, "features": apply_feature_definitions}


def main() -> None:
    """Runs the step named on the command line."""
    try:
        STEPS[sys.argv[1]](settings())
    except MillstreamError as error:
        err.print(f"{type(error).__name__}: {error}", markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
