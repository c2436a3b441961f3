"""Settings: read once from the environment (`MILLSTREAM_*`), frozen, typed; the only reader of the environment.

Two profiles, *embedded* and *cluster*. Only addresses differ between them: every other setting has one default.
"""

from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from pydantic import SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """All settings. The environment's name of a field is `MILLSTREAM_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="MILLSTREAM_", frozen=True, extra="ignore")

    profile: Literal["embedded", "cluster"] = "embedded"
    state_dir: Path = Path(".millstream")

    # Addresses. In the embedded profile an empty one is filled with the local stack's.
    kafka_bootstrap: str = ""
    milvus_uri: str = ""
    milvus_token: SecretStr = SecretStr("")
    redis_url: str = ""
    ray_address: str = ""
    gateway_host: str = "127.0.0.1"
    gateway_port: int = 8000
    gateway_url: str = ""
    broker_port: int = 29092
    vectors_port: int = 29530
    streams_metrics_port: int = 29201
    learner_metrics_port: int = 29202

    # Streams.
    app_id: str = "millstream"
    session_gap_s: int = 1800
    attribution_window_s: int = 1800
    affinity_half_life_s: int = 7 * 86400
    trend_half_life_s: int = 6 * 3600
    keep_users_days: int = 400  # a user or item not seen for so long is forgotten; 0: never
    feature_write_every_s: float = 0.1
    item_write_every_s: float = 2.0  # an impression touches every item shown: rows of items change all the time
    archive_flush_every_s: float = 5.0

    # Encoders: names in services/embedding/registry.py.
    text_encoder: str = "wordllama"
    picture_encoder: str = "efficientnet-lite0"
    picture_max_bytes: int = 4_000_000

    # Serving.
    serving_replicas: int = 1
    embedding_replicas: int = 1
    serving_encoder: Literal["auto", "torch", "onnx"] = "auto"  # runs the user tower; "auto": ONNX Runtime, else torch
    request_deadline_ms: int = 300
    body_max_bytes: int = 8_000_000
    publish_timeout_s: float = 5.0
    candidates_per_source: int = 100
    heartbeat_every_s: float = 2.0
    heartbeat_stale_after_s: float = 10.0

    # Training.
    train_workers: str = "0"  # "0": in this process; "2": as many; "1-4": as many of these as there is room for
    train_epochs: int = 4
    train_device: Literal["cpu", "cuda"] = "cpu"
    train_seconds_limit: float = 0.0
    train_sharding: Literal["replicate", "shard"] = "replicate"  # "shard": for tables that do not fit on one worker
    train_precision: Literal["auto", "off", "on"] = "auto"  # bfloat16; "auto": where a GPU computes in it
    train_accumulate: int = 1
    train_state_every_s: float = 60.0
    train_recipe: Path | None = None  # JSON of choices as `millstream tune` leaves them; the rest is as without it
    model_width: int = 64  # of the live model: the learner keeps up with every click on two cores; 128 ranks better
    study_width: int = 128  # of a study of a log in files, which nobody waits for
    id_rows: int = 1_000_000  # items with an id embedding of their own, at most; rarer ones are told by their content
    id_admit_after: int = 2  # times that a new item is wanted before the learner gives it an id row
    learner_publish_every_s: float = 3.0
    learner_batch: int = 128
    seed: int = 7

    @field_validator("train_workers", mode="before")
    @classmethod
    def _worker_count(cls, given: object) -> str:
        words = str(given).split("-")
        if len(words) > 2 or not all(word.isdecimal() for word in words) or int(words[0]) > int(words[-1]):
            raise ValueError(f"found train_workers={given!r}; expected a count as 0 or 2, or a range as 1-4")
        if len(words) == 2 and int(words[0]) == 0:
            raise ValueError(f"found train_workers={given!r}; expected a range from 1 on; 0 is this process")
        return str(given)

    @model_validator(mode="after")
    def _addresses(self) -> Self:
        if self.profile == "cluster":
            missing = [name for name in ("kafka_bootstrap", "milvus_uri", "redis_url") if not getattr(self, name)]
            if missing:
                names = ", ".join(f"MILLSTREAM_{name.upper()}" for name in missing)
                raise ValueError(f"found profile=cluster without {names}; expected an address for each")
        return self

    @property
    def train_worker_range(self) -> tuple[int, int]:
        """Fewest and most workers of a training; (0, 0) is this process."""
        words = self.train_workers.split("-")
        return int(words[0]), int(words[-1])

    @property
    def embedded_broker(self) -> bool:
        """Whether the log is the local stack's own broker (Tansu), not an Apache Kafka."""
        return not self.kafka_bootstrap

    @property
    def bootstrap(self) -> str:
        """Kafka's bootstrap servers."""
        return self.kafka_bootstrap or f"127.0.0.1:{self.broker_port}"

    @property
    def vectors_uri(self) -> str:
        """Milvus's address."""
        return self.milvus_uri or f"http://127.0.0.1:{self.vectors_port}"

    @property
    def gateway(self) -> str:
        """The gateway's base URL, as other processes reach it."""
        return self.gateway_url or f"http://127.0.0.1:{self.gateway_port}"

    @property
    def models_dir(self) -> Path:
        """The model store: one directory a version."""
        return self.state_dir / "models"

    @property
    def archive_dir(self) -> Path:
        """Partitioned Parquet: events, feedback, items, item_vectors."""
        return self.state_dir / "archive"

    @property
    def pictures_dir(self) -> Path:
        """The picture store."""
        return self.state_dir / "pictures"

    @property
    def feast_dir(self) -> Path:
        """Feast's registry and, without Redis, its SQLite online store."""
        return self.state_dir / "feast"

    @property
    def streams_dir(self) -> Path:
        """The streams' local copies of their states, one folder a worker; the truth is the changelogs."""
        return self.state_dir / "streams"

    @property
    def logs_dir(self) -> Path:
        """Logs of the local stack's processes."""
        return self.state_dir / "logs"

    @property
    def cache_dir(self) -> Path:
        """What survives a fresh start: exported encoders, drawn pictures, vectors by content."""
        return self.state_dir.parent / ".millstream-cache"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings, read from the environment at the first call."""
    return Settings()
