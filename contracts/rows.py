"""Feature rows and vectors as they travel on topics: what the streams publish and serving and training keep."""

from typing import Any

from contracts.bounds import UtcDatetime
from contracts.features import ItemFeatures
from contracts.formats import InternalMessage
from contracts.ids import ItemId


class ItemFeatureRow(InternalMessage):
    """An item's features as of `at`; the value on the compacted topic `item-features`."""

    item_id: ItemId
    at: UtcDatetime
    values: dict[str, Any]

    def features(self) -> ItemFeatures:
        """The typed row."""
        return ItemFeatures.from_values(self.values)


class ItemVectors(InternalMessage):
    """An item's content vectors; the value on the compacted topic `item-vectors`. A tombstone deletes them.

    Attributes:
        text: Base64 of little-endian float16, unit length; None when the item has no text.
        picture: The same of the picture; None when the item has no (readable) picture.
        text_encoder: Name of the text encoder, so that vectors of two encoders are never mixed.
        picture_encoder: Name of the picture encoder.
    """

    item_id: ItemId
    at: UtcDatetime
    text: str | None
    picture: str | None
    text_encoder: str
    picture_encoder: str
