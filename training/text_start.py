"""Where the content of items starts: the text encoder's own geometry, in as many directions as the towers are wide.

A map drawn at random keeps little of what a text vector says, and the other tokens of an item drown the rest. With this
start two items without id rows are about as alike as the encoder finds their texts. N items, Dt text width, D width.
"""

import torch

from training.model.content import MODALITIES, ContentTable
from training.model.fusion import FusionTransformer

TEXT_LENGTH = 0.5
"""Length of a text token as a share of the root of D: five times that of an attribute's."""


def begin_with_text(model: FusionTransformer, table: ContentTable) -> None:
    """Sets how a fresh model on the CPU reads text: the principal directions of the items' text vectors.

    Of all maps to D numbers it keeps the most of their inner products: Eckart & Young (1936). The query tower takes
    the same map over at `FusionTransformer.add_query_tower`. Without text vectors nothing changes.
    """
    tokens = table.tokens()
    texts = tokens.text[tokens.present[:, MODALITIES.index("text")]]  # (of N with text, Dt)
    if not texts.numel():
        return
    _, directions = torch.linalg.eigh(texts.T @ texts)  # (Dt, Dt), the last the strongest
    width = model.config.width
    strongest = directions.flip(1)[:, :width].T  # (at most D, Dt)
    tower = model.item_tower
    with torch.no_grad():
        tower.text.weight.zero_()
        tower.text.weight[: len(strongest)] = strongest * TEXT_LENGTH * width**0.5
        tower.text.bias.zero_()
        tower.pooling.begin_open()
