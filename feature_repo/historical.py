"""The point-in-time join through Feast over the archive: for (user, item, time) the features as they stood then."""

from typing import Any

import pandas as pd

from contracts.features import ITEM_FEATURES, USER_FEATURES
from contracts.settings import Settings
from feature_repo.engine import FeatureStore
from feature_repo.feature_services import RANKING
from feature_repo.sources import EVENT_TIMESTAMP
from feature_repo.store_config import repo_config
from feature_repo.views import ITEM_VIEW, USER_VIEW


def point_in_time(settings: Settings, entity_rows: pd.DataFrame) -> pd.DataFrame:
    """Joins the archived features to entity rows; nothing after a row's `event_timestamp` is seen.

    Args:
        settings: Where the registry and the archive are; `store_config.apply` has run.
        entity_rows: Columns `user_id`, `item_id`, `event_timestamp` (aware); any others stay.

    Returns:
        The same rows in the same order, with the columns `user_features__NAME` and `item_features__NAME` added; where
        nothing was known yet, a feature has its default.
    """
    if entity_rows.empty:
        empty = entity_rows.copy()
        for column in _defaults():
            empty[column] = pd.Series(dtype="object")
        return empty
    keys = ["user_id", "item_id", EVENT_TIMESTAMP]
    wanted = entity_rows[keys].reset_index(drop=True)
    wanted[EVENT_TIMESTAMP] = pd.to_datetime(wanted[EVENT_TIMESTAMP], utc=True).astype("datetime64[us, UTC]")
    unique = wanted.drop_duplicates().reset_index(drop=True)
    store = FeatureStore(config=repo_config(settings))
    joined = store.get_historical_features(
        entity_df=unique.copy(), features=store.get_feature_service(RANKING), full_feature_names=True
    ).to_df()
    joined[EVENT_TIMESTAMP] = pd.to_datetime(joined[EVENT_TIMESTAMP], utc=True).astype("datetime64[us, UTC]")
    joined = joined[[*keys, *_defaults()]].drop_duplicates(subset=keys)
    answer = wanted.merge(joined, on=keys, how="left", validate="many_to_one").drop(columns=keys)
    for column, default in _defaults().items():
        answer[column] = _filled(answer[column], default)
    answer.index = entity_rows.index
    return pd.concat([entity_rows, answer], axis=1)


def _defaults() -> dict[str, object]:
    tables = ((USER_VIEW, USER_FEATURES), (ITEM_VIEW, ITEM_FEATURES))
    return {f"{view}__{feature.name}": feature.default for view, table in tables for feature in table}


def _filled(values: Any, default: Any) -> Any:
    """The column without gaps; pandas leaves None or a float NaN where a list is missing."""
    if isinstance(default, tuple):
        return pd.Series([[] if value is None or isinstance(value, float) else list(value) for value in values])
    return values.fillna(default).astype(type(default))
