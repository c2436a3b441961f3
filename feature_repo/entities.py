"""Feast's entities: whose rows the feature views keep."""

from feature_repo.engine import Entity, ValueType

USER = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING, description="A shopper")
ITEM = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING, description="An item of the catalogue")
