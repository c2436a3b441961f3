"""What is asked of the gateway and what it answers. FastAPI draws the OpenAPI page from these models."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.bounds import (
    ID,
    MOST_ITEM_TEXT,
    MOST_TEXT_AT_ONCE,
    WORD,
    Attributes,
    Cents,
    Description,
    SearchText,
    Title,
    UtcDatetime,
)
from contracts.catalogue import Item
from contracts.ids import EventId, ItemId, ModelVersion, PictureKey, RequestId, SessionId, UserId


class Source(StrEnum):
    """Where a candidate came from."""

    MODEL = "model"
    CO_VISIT = "co_visit"
    TRENDING = "trending"
    CONTENT = "content"
    TEXT = "text"
    PICTURE = "picture"


class Degradation(StrEnum):
    """Which part was missing when an answer was made."""

    FEATURES = "features_unavailable"
    REFILLING = "features_refilling"
    VECTORS = "vectors_unavailable"
    VECTORS_REFILLING = "vectors_refilling"
    MODEL = "no_model"
    RANKING = "ranking_failed"
    SOURCE = "source_failed"
    EMBEDDING = "embedding_unavailable"
    LEARNER = "learner_stale"
    STREAMS = "streams_stale"
    LOG = "log_unavailable"
    EMPTY_CATALOGUE = "empty_catalogue"


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user_id: Annotated[UserId, ID] | None = None
    session_id: Annotated[SessionId, ID] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 12
    exclude: Annotated[list[Annotated[ItemId, ID]], Field(max_length=1000)] = Field(default_factory=list)
    in_stock_only: bool = True


class RecommendationRequest(_Request):
    """Ask for items for a user (known, new or anonymous).

    Attributes:
        user_id: Whose history counts; without it the answer comes from `similar_to` and what is trending.
        similar_to: Items of the moment (the page that is open, the cart), as context.
        category: Only items of this category.
        exclude_purchased: Leave out what the user has bought.
        explain: Add reasons to each item.
    """

    similar_to: Annotated[list[Annotated[ItemId, ID]], Field(max_length=20)] = Field(default_factory=list)
    category: Annotated[str, WORD] | None = None
    exclude_purchased: bool = True
    explain: bool = False


class SearchRequest(_Request):
    """Search by text, by picture, or by both together. A `user_id` makes the order personal."""

    text: SearchText = ""
    picture_base64: str | None = None
    explain: bool = False

    @model_validator(mode="after")
    def _asks_for_something(self) -> "SearchRequest":
        if not self.text.strip() and not self.picture_base64:
            raise ValueError("found neither text nor picture_base64; expected at least one of them")
        return self


class ItemCard(BaseModel):
    """What a page needs to show an item."""

    title: str
    category: str
    brand: str
    price_cents: int | None
    in_stock: bool
    picture: PictureKey | None


class RankedItem(BaseModel):
    """One item of an answer: its place, score, the sources that proposed it and, when asked, the reasons."""

    item_id: ItemId
    position: int
    score: float
    sources: list[Source]
    reasons: list[str] = Field(default_factory=list)
    item: ItemCard


class FeatureState(BaseModel):
    """Which features of the user an answer was made with.

    Attributes:
        events_in_history: Interactions in the user's row.
        last_event_id: The newest interaction that the row includes.
        age_s: Seconds since that interaction, at the time of the answer; None without one.
    """

    events_in_history: int = 0
    last_event_id: EventId | None = None
    age_s: float | None = None


class Answer(BaseModel):
    """A ranked list and how it was made."""

    request_id: RequestId
    model_version: ModelVersion | None
    items: list[RankedItem]
    degraded: bool
    degraded_reasons: list[Degradation]
    features: FeatureState
    stage_ms: dict[str, float]
    at: UtcDatetime


class _Rejected(BaseModel):
    index: int
    reason: str
    detail: str


class RejectedEvent(_Rejected):
    """An event of a batch that was refused: its place in the batch, the short reason and the whole message."""


class EventsAnswer(BaseModel):
    """Answer of `POST /v1/events`: what Kafka has acknowledged, and what was refused."""

    accepted: int
    event_ids: list[EventId]
    rejected: list[RejectedEvent] = Field(default_factory=list)


class _ItemFields(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: Title
    description: Description = ""
    category: Annotated[str, WORD] = ""
    brand: Annotated[str, WORD] = ""
    price_cents: Cents | None = None
    in_stock: bool = True
    attributes: Attributes = Field(default_factory=dict)
    picture: PictureKey | None = None
    picture_base64: str | None = None


class ItemRequest(_ItemFields):
    """Body of `PUT /v1/items/{id}`: the whole item, so that what `GET` gave can be put back.

    Attributes:
        item_id: May be left out; else that of the path.
        picture: Key of a picture that the shop has; what `GET` gave.
        picture_base64: A picture's bytes, in place of a key.
    """

    item_id: Annotated[ItemId, ID] | None = None

    def item(self, item_id: ItemId, picture: PictureKey | None) -> Item:
        """The item that is described, under an id and with the key that its picture is kept under."""
        fields = self.model_dump(exclude={"item_id", "picture", "picture_base64"})
        return Item(item_id=item_id, picture=picture, **fields)


class ItemChange(_ItemFields):
    """Body of `PATCH /v1/items/{id}`: what is given is changed, all else stays. A null picture takes it away."""

    title: Title = ""


class ItemAnswer(BaseModel):
    """Answer of `PUT` and `DELETE /v1/items/{id}`: the event that carries the change."""

    item_id: ItemId
    event_id: EventId


class RejectedItem(_Rejected):
    """An item of a batch that was refused: its place in the batch, the short reason and the whole message."""


class ItemsAnswer(BaseModel):
    """Answer of `POST /v1/items`: how many the log has acknowledged, and what was refused."""

    accepted: int
    rejected: list[RejectedItem] = Field(default_factory=list)


class EmbeddingRequest(BaseModel):
    """Ask for content vectors of texts and of pictures in the picture store."""

    model_config = ConfigDict(extra="forbid")

    texts: Annotated[list[Annotated[str, Field(max_length=MOST_ITEM_TEXT)]], Field(max_length=512)] = Field(
        default_factory=list
    )
    pictures: Annotated[list[PictureKey], Field(max_length=512)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _little_at_once(self) -> "EmbeddingRequest":
        characters = sum(map(len, self.texts))
        if characters > MOST_TEXT_AT_ONCE:
            raise ValueError(f"expected texts of at most {MOST_TEXT_AT_ONCE} characters together, not {characters}")
        return self


class EmbeddingAnswer(BaseModel):
    """Vectors as base64 of little-endian float16, unit length; None for a picture that could not be read."""

    text_encoder: str
    picture_encoder: str
    texts: list[str]
    pictures: list[str | None]


class Percentiles(BaseModel):
    """A live figure: how many were measured, and their percentiles."""

    n: int
    p50: float | None
    p95: float | None
    p99: float | None = None


class FreshnessAnswer(BaseModel):
    """Answer of `GET /v1/freshness`: the two live figures in seconds, and the versions served so far."""

    click_to_ranking_s: Percentiles
    click_to_weights_s: Percentiles
    model_version: ModelVersion | None
    model_age_s: float | None
    versions_served: list[ModelVersion]


class Problem(BaseModel):
    """RFC 9457 problem details: the body of every error answer (`application/problem+json`)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    reason: str
    errors: list[dict[str, Any]] = Field(default_factory=list)
