"""Names of the vector collections: one per kind of vector, all keyed by item id."""

import re

from contracts.ids import ModelVersion

MODEL_ITEMS = "model_items"
"""Exit of the item tower, unit length; searched with a user vector. What the collections' names begin with: each line
of versions has one of its own, since vectors of two lines do not compare."""

CONTENT_TEXT = "content_text"
"""Text encoder; searched with a query's or another item's text vector."""

CONTENT_PICTURE = "content_picture"
"""Picture encoder; searched with an uploaded picture's vector."""


def model_items(line: ModelVersion | None) -> str:
    """The collection of a line of versions, named by its batch version; `MODEL_ITEMS` itself for a line without one."""
    return MODEL_ITEMS if line is None else f"{MODEL_ITEMS}_{re.sub(r'[^0-9A-Za-z_]', '_', line)}"
