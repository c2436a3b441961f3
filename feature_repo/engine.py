"""Feast, imported in this one place.

Feast's import puts two variables into the environment that turn prometheus-client's values into files shared by
processes, here and in every child. prometheus-client is imported first, so that it has decided before, and variables
that were not there are taken out again.

It also compiles its classes anew with typeguard's checks and imports torch for tensors that nothing here asks for:
together two thirds of the processor time of a process's start. Both are left out; a process that uses torch imports it
as ever.
"""

import os
import sys
from typing import Any

import prometheus_client  # noqa: F401  (decides its kind of values at import)
import typeguard

_SET_BY_FEAST = ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR")
_before = {name: os.environ.get(name) for name in _SET_BY_FEAST}


def _unchecked(target: Any = None, **options: object) -> Any:
    """`typeguard.typechecked` as under `python -O`."""
    return target if target is not None else _unchecked


_typechecked, typeguard.typechecked = typeguard.typechecked, _unchecked
_torch_hidden = sys.modules.setdefault("torch", None) is None  # type: ignore[arg-type]

from feast import (  # noqa: E402  (after prometheus-client)
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    RepoConfig,
    ValueType,
)
from feast.data_format import ParquetFormat  # noqa: E402
from feast.infra.key_encoding_utils import serialize_entity_key  # noqa: E402
from feast.infra.online_stores.helpers import _mmh3 as field_hash  # noqa: E402
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig  # noqa: E402
from feast.infra.online_stores.sqlite import (  # noqa: E402
    SqliteOnlineStore,
    SqliteOnlineStoreConfig,
)
from feast.infra.online_stores.sqlite import _table_id as sqlite_table  # noqa: E402
from feast.protos.feast.types.EntityKey_pb2 import EntityKey  # noqa: E402
from feast.protos.feast.types.Value_pb2 import Value  # noqa: E402
from feast.types import Array, FeastType, Float64, Int64, String  # noqa: E402

typeguard.typechecked = _typechecked
if _torch_hidden:
    del sys.modules["torch"]
for _name, _value in _before.items():
    if _value is None:
        os.environ.pop(_name, None)

__all__ = [
    "Array",
    "Entity",
    "EntityKey",
    "FeastType",
    "FeatureService",
    "FeatureStore",
    "FeatureView",
    "Field",
    "FileSource",
    "Float64",
    "Int64",
    "ParquetFormat",
    "RedisOnlineStore",
    "RedisOnlineStoreConfig",
    "RepoConfig",
    "SqliteOnlineStore",
    "SqliteOnlineStoreConfig",
    "String",
    "Value",
    "ValueType",
    "field_hash",
    "serialize_entity_key",
    "sqlite_table",
]
