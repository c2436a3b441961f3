"""What is known of an item of the shop: text, picture, attributes, price and stock.

A picture travels by its key (the SHA-256 of its bytes in the picture store), never inside a message.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from contracts.bounds import ID, WORD, Attributes, Cents, Description, Title
from contracts.ids import ItemId, PictureKey


class Item(BaseModel):
    """One item of the catalogue, as the shop describes it.

    Attributes:
        item_id: The shop's own id.
        title: What a shopper reads; the text encoder reads title, brand, category and description.
        description: Longer text, may be empty.
        category: One category, the shop's spelling; empty when unknown.
        brand: Empty when unknown.
        price_cents: Price in hundredths of the shop's currency; None when unknown.
        in_stock: Items out of stock are not recommended.
        attributes: Whatever else the shop knows, as text (size, colour, department).
        picture: Key of the item's picture in the picture store; None when there is none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    item_id: Annotated[ItemId, ID]
    title: Title
    description: Description = ""
    category: Annotated[str, WORD] = ""
    brand: Annotated[str, WORD] = ""
    price_cents: Cents | None = None
    in_stock: bool = True
    attributes: Attributes = Field(default_factory=dict)
    picture: PictureKey | None = None

    def text(self) -> str:
        """The text that the text encoder reads: title, brand, category and description, in one line."""
        return " ".join(part for part in (self.title, self.brand, self.category, self.description) if part)
