"""Feast, imported in this one place.

Feast's import puts two variables into the environment that turn prometheus-client's values into files shared by
processes, here and in every child. prometheus-client is imported first, so that it has decided before, and variables
that were not there are taken out again.
"""

import os

import prometheus_client  # noqa: F401  (decides its kind of values at import)

_SET_BY_FEAST = ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR")
_before = {name: os.environ.get(name) for name in _SET_BY_FEAST}

from feast import (  # noqa: E402  (after prometheus-client)
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    PushSource,
    RepoConfig,
    ValueType,
)
from feast.data_format import ParquetFormat  # noqa: E402
from feast.types import Array, FeastType, Float64, Int64, String  # noqa: E402

for _name, _value in _before.items():
    if _value is None:
        os.environ.pop(_name, None)

__all__ = [
    "Array",
    "Entity",
    "FeastType",
    "FeatureService",
    "FeatureStore",
    "FeatureView",
    "Field",
    "FileSource",
    "Float64",
    "Int64",
    "ParquetFormat",
    "PushSource",
    "RepoConfig",
    "String",
    "ValueType",
]
