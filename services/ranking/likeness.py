"""How alike the shown items are to those of the user's context, by the item tower: the ground of "because you bought".

Symbols: C shown items, A items of the context, D width.
"""

from collections.abc import Sequence

import numpy as np

from contracts.ids import ItemId
from services.ranking.slot import LoadedModel


def most_similar(
    loaded: LoadedModel, shown: Sequence[ItemId], context: Sequence[ItemId]
) -> dict[ItemId, tuple[ItemId, float]]:
    """For each shown item the most similar item of the context and their cosine; items without vectors are left out."""
    anchors = [item_id for item_id in context if item_id in loaded.rows]
    items = [item_id for item_id in shown if item_id in loaded.rows]
    if not anchors or not items:
        return {}
    rows_shown = loaded.matrix[[loaded.rows[item_id] for item_id in items]]  # (C, D)
    rows_context = loaded.matrix[[loaded.rows[item_id] for item_id in anchors]]  # (A, D)
    cosines = rows_shown @ rows_context.T  # (C, A)
    nearest = np.argmax(cosines, axis=1)  # (C,)
    return {
        item_id: (anchors[anchor], float(cosines[row, anchor]))
        for row, (item_id, anchor) in enumerate(zip(items, nearest, strict=True))
        if anchors[anchor] != item_id
    }
