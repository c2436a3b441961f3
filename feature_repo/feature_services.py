"""Feast's feature services: the features that serving reads.

Both also carry `AS_OF_US`: None there tells an entity that was never written. A file named
`services.py` in this folder would be taken for the top-level package of that name by Feast's command line.
"""

from contracts.features import ITEM_FEATURES, USER_FEATURES
from feature_repo.engine import FeatureService, FeatureView
from feature_repo.views import AS_OF_US

USER_STATE = "user_state"
ITEM_STATE = "item_state"

_USER_NAMES = [feature.name for feature in USER_FEATURES]
_ITEM_NAMES = [feature.name for feature in ITEM_FEATURES]


def user_state(users: FeatureView) -> FeatureService:
    """What a request reads online: the user's row."""
    return FeatureService(name=USER_STATE, features=[users[[*_USER_NAMES, AS_OF_US]]])


def item_state(items: FeatureView) -> FeatureService:
    """One item's row, read online."""
    return FeatureService(name=ITEM_STATE, features=[items[[*_ITEM_NAMES, AS_OF_US]]])
