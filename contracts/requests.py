"""What is asked of the gateway and what it answers. FastAPI draws the OpenAPI page from these models."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.events import UtcDatetime
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
    VECTORS = "vectors_unavailable"
    MODEL = "no_model"
    RANKING = "ranking_failed"
    EMBEDDING = "embedding_unavailable"
    LEARNER = "learner_stale"
    STREAMS = "streams_stale"
    LOG = "log_unavailable"
    EMPTY_CATALOGUE = "empty_catalogue"


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user_id: Annotated[UserId, Field(min_length=1, max_length=128)] | None = None
    session_id: SessionId | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 12
    exclude: Annotated[list[ItemId], Field(max_length=1000)] = Field(default_factory=list)
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

    similar_to: Annotated[list[ItemId], Field(max_length=20)] = Field(default_factory=list)
    category: str | None = None
    exclude_purchased: bool = True
    explain: bool = False


class SearchRequest(_Request):
    """Search by text, by picture, or by both together. A `user_id` makes the order personal."""

    text: Annotated[str, Field(max_length=1000)] = ""
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


class RejectedEvent(BaseModel):
    """An event of a batch that was refused: its place in the batch, the short reason and the whole message."""

    index: int
    reason: str
    detail: str


class EventsAnswer(BaseModel):
    """Answer of `POST /v1/events`: what Kafka has acknowledged, and what was refused."""

    accepted: int
    event_ids: list[EventId]
    rejected: list[RejectedEvent] = Field(default_factory=list)


class ItemRequest(BaseModel):
    """Body of `PUT /v1/items/{id}`: the item without its id; the picture's bytes come along as base64."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, Field(min_length=1, max_length=500)]
    description: Annotated[str, Field(max_length=10_000)] = ""
    category: Annotated[str, Field(max_length=200)] = ""
    brand: Annotated[str, Field(max_length=200)] = ""
    price_cents: Annotated[int, Field(ge=0)] | None = None
    in_stock: bool = True
    attributes: dict[str, str] = Field(default_factory=dict)
    picture_base64: str | None = None


class ItemAnswer(BaseModel):
    """Answer of `PUT` and `DELETE /v1/items/{id}`: the event that carries the change."""

    item_id: ItemId
    event_id: EventId


class EmbeddingRequest(BaseModel):
    """Ask for content vectors of texts and of pictures in the picture store."""

    model_config = ConfigDict(extra="forbid")

    texts: Annotated[list[str], Field(max_length=512)] = Field(default_factory=list)
    pictures: Annotated[list[PictureKey], Field(max_length=512)] = Field(default_factory=list)


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
