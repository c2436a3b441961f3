"""Giving a new embedded broker the messages of the one that died.

1. The archive is put aside and the streams' state is removed (`fresh.put_aside_for_restore`).
2. The broker starts empty and its topics are created.
3. The catalogue, then the events, go back on the log from the archive; the newest model version is announced again.
4. The folder is removed, and the consumers start from the beginning.

A crash before 4 repeats 3: events keep their ids, so nothing counts twice. What the archive had not yet written when
the broker died (`MILLSTREAM_ARCHIVE_FLUSH_EVERY_S`) is lost with it; an Apache Kafka loses nothing.
"""

import logging
import shutil

from contracts.settings import Settings
from contracts.topics import EVENTS, ITEMS, MODEL_VERSIONS
from contracts.wire import encode
from feature_repo.archive import ArchiveReader
from feature_repo.model_store import ModelStore
from millstream.sources.publish import bulk_log
from millstream.stack.fresh import restore_dir
from millstream.stack.restored_rows import catalogue_messages, event_messages

_log = logging.getLogger(__name__)
MODEL_KEY = "fusion"


def restore_log(settings: Settings) -> int:
    """Steps 3 and 4 above, where something waits to be restored. Returns how many messages went back.

    Raises:
        LogUnavailable: the new broker did not acknowledge.
    """
    directory = restore_dir(settings)
    if not directory.exists():
        return 0
    archive = ArchiveReader(directory)
    with bulk_log(settings, "millstream-restore") as bulk:
        for item_id, value in catalogue_messages(archive.read("items").to_pylist()):
            bulk.publish(ITEMS, item_id, value)
        for user_id, value in event_messages(archive.read("events").to_pylist()):
            bulk.publish(EVENTS, user_id, value)
        latest = ModelStore(settings.models_dir).latest()
        if latest is not None:
            bulk.publish(MODEL_VERSIONS, MODEL_KEY, encode(latest))
        bulk.settle()
        count = bulk.count
    shutil.rmtree(directory)
    _log.info("restored %d messages", count)
    return count
