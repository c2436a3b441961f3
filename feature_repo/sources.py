"""The source that Feast wants of every view: it names the columns of time, and is never read.

Rows come from the streams, straight to the online store; training folds the archived events again.
"""

from feature_repo.engine import FileSource, ParquetFormat

EVENT_TIMESTAMP = "event_timestamp"
CREATED = "created"


def unread_source(view: str) -> FileSource:
    """The source of one view; no file of this name is ever written.

    Args:
        view: Name of the view.
    """
    return FileSource(
        name=f"{view}_unread",
        path=f"{view}.parquet",
        file_format=ParquetFormat(),
        timestamp_field=EVENT_TIMESTAMP,
        created_timestamp_column=CREATED,
        description="Never read: the streams write the view's rows online",
    )
