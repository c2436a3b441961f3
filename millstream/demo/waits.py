"""Waiting for the planes to catch up: encoded, archived, served. Each wait ends, with what was found and expected."""

import time

from contracts.errors import ModelError, StackError
from contracts.ids import ModelVersion
from contracts.settings import Settings
from contracts.topics import EVENTS, FEEDBACK, ITEM_VECTORS
from contracts.versions import PublishedVersion
from eventlog.lag import group_lag, message_counts
from feature_repo.model_store import ModelStore
from millstream.console import Advance
from millstream.demo.shop import Shop
from millstream.stack.state import Phase, running_stack

VECTORS_WITHIN_S = 180.0
ARCHIVED_WITHIN_S = 60.0
SERVED_WITHIN_S = 60.0
TOPICS_WITHIN_S = 120.0


def wait_for_topics(settings: Settings) -> None:
    """Returns once the topics of the stack that is starting are there. Raises StackError."""
    deadline = time.monotonic() + TOPICS_WITHIN_S
    while (record := running_stack(settings)) is None or record.process("topics").phase is not Phase.DONE:
        if time.monotonic() > deadline:
            raise StackError(
                f"found no topics {TOPICS_WITHIN_S:.0f} s after the start of the stack; expected the wiring map's; "
                f"see {settings.logs_dir.absolute() / 'topics.log'}"
            )
        time.sleep(0.2)


def wait_for_vectors(settings: Settings, count: int, advance: Advance) -> None:
    """Returns once so many items have their vectors. Raises StackError."""
    deadline = time.monotonic() + VECTORS_WITHIN_S
    while (there := message_counts(settings.bootstrap, (ITEM_VECTORS,))[ITEM_VECTORS.name]) < count:
        advance(there, count, "")
        if time.monotonic() > deadline:
            raise StackError(
                f"found {there} of {count} items encoded after {VECTORS_WITHIN_S:.0f} s; see: millstream status"
            )
        time.sleep(0.5)


def wait_for_archive(settings: Settings) -> None:
    """Returns once every event and example is in the archive. Raises StackError."""
    deadline = time.monotonic() + ARCHIVED_WITHIN_S
    while waiting := sum(group_lag(settings.bootstrap, f"{settings.app_id}-archive", (EVENTS, FEEDBACK)).values()):
        if time.monotonic() > deadline:
            raise StackError(
                f"found {waiting} messages not archived after {ARCHIVED_WITHIN_S:.0f} s; see: millstream status"
            )
        time.sleep(0.5)


def wait_until_served(settings: Settings, version: PublishedVersion) -> None:
    """Returns once the gateway ranks by the version or one of its line. Raises StackError."""
    deadline = time.monotonic() + SERVED_WITHIN_S
    store = ModelStore(settings.models_dir)
    with Shop(settings.gateway) as shop:
        while True:
            served = shop.freshness().versions_served
            if version.version in served or any(_goes_back_to(version, one, store) for one in served):
                return
            if time.monotonic() > deadline:
                raise StackError(f"found the versions {served} served; expected {version.version} or one of its line")
            time.sleep(0.3)


def _goes_back_to(root: PublishedVersion, version: ModelVersion, store: ModelStore) -> bool:
    try:
        return store.manifest(version).line == root.version
    except ModelError:  # retired meanwhile
        return False
