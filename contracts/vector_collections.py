"""Names of the vector collections: one per kind of vector, all keyed by item id."""

MODEL_ITEMS = "model_items"
"""Exit of the item tower, unit length; searched with a user vector."""

CONTENT_TEXT = "content_text"
"""Text encoder; searched with a query's or another item's text vector."""

CONTENT_PICTURE = "content_picture"
"""Picture encoder; searched with an uploaded picture's vector."""
