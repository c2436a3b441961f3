"""Feast's sources: rows are pushed to the online store by the streams and read back from the archive's Parquet.

DuckDB opens the path as it stands, so it is absolute, and a glob over the archive's date partitions.
"""

from pathlib import Path

from feature_repo.engine import FileSource, ParquetFormat, PushSource

EVENT_TIMESTAMP = "event_timestamp"
CREATED = "created"


def pushed_rows(archive_dir: Path, dataset: str) -> PushSource:
    """The source of one archive dataset of feature rows.

    Args:
        archive_dir: Root of the archive.
        dataset: `user_features` or `item_features`.
    """
    archived = FileSource(
        name=f"{dataset}_archive",
        path=str(archive_dir.resolve() / dataset / "*" / "*.parquet"),
        file_format=ParquetFormat(),
        timestamp_field=EVENT_TIMESTAMP,
        created_timestamp_column=CREATED,
        description=f"The archive's dataset {dataset}, partitioned by date",
    )
    return PushSource(name=f"{dataset}_push", batch_source=archived, description=f"Rows of {dataset} from the streams")
