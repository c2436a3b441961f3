"""A hand-written gateway for the page: it checks each request against the contracts and answers in their shapes.

A posted event is included in the answers `fold_s` later and learned `learn_s` later. Faults are fields of the double:
`degraded` reasons, `broken` (each answer is this problem), or an empty catalogue.
"""

import base64
import time
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel

from contracts.catalogue import Item
from contracts.clock import utc_now
from contracts.events import SHOP_EVENT, EventKind
from contracts.ids import EventId, ItemId, ModelVersion, PictureKey, RequestId, UserId, time_ordered_id
from contracts.requests import (
    Answer,
    Degradation,
    EventsAnswer,
    FeatureState,
    FreshnessAnswer,
    ItemAnswer,
    ItemCard,
    ItemRequest,
    Percentiles,
    Problem,
    RankedItem,
    RecommendationRequest,
    SearchRequest,
    Source,
)
from contracts.traces import Stage, Trace, TraceStamp

STEPS = (Stage.RECEIVED, Stage.LOGGED, Stage.FOLDED, Stage.FEATURES_WRITTEN)
VERSION = ModelVersion("fusion-0000000000000001")
LATER = (Stage.EXAMPLE_EMITTED, Stage.LEARNED, Stage.PUBLISHED, Stage.ANSWERED_WITH_WEIGHTS)


@dataclass
class Posted:
    """An event as it was posted, and when (monotonic seconds and wall clock)."""

    event: Any
    at_s: float
    at: Any


@dataclass
class ShopDouble:
    """The state of the shop, and its answers."""

    page: Path
    items: dict[ItemId, Item]
    fold_s: float = 0.3
    learn_s: float = 1.5
    click_waits_s: float = 0.0
    degraded: list[Degradation] = field(default_factory=list)
    broken: Problem | None = None
    posted: list[Posted] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    pictures: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    version: ModelVersion = VERSION

    def card(self, item_id: ItemId) -> ItemCard:
        """The item as an answer shows it."""
        return ItemCard.model_validate(self.items[item_id].model_dump(exclude={"item_id", "description", "attributes"}))

    def folded(self, user_id: UserId | None) -> list[Posted]:
        """The user's interactions with items that the features include by now, oldest first."""
        now = time.monotonic()
        return [
            each
            for each in self.posted
            if each.event.user_id == user_id and each.event.kind != "search" and now - each.at_s > self.fold_s
        ]

    def ranked(self, ids: list[ItemId], source: Source, *, personal: bool, explain: bool) -> list[RankedItem]:
        """The ids in their order as ranked items."""
        reasons = ["Close to what you opened last", "Many shoppers look at it now"] if explain else []
        return [
            RankedItem(
                item_id=item_id,
                position=place,
                score=1 / (place + 1),
                sources=[source, Source.TRENDING] if place % 3 == 0 else [source],
                reasons=reasons if personal else reasons[1:],
                item=self.card(item_id),
            )
            for place, item_id in enumerate(ids)
        ]

    def answer(self, items: list[RankedItem], history: list[Posted]) -> Answer:
        """The items as an answer of the gateway."""
        reasons = [*self.degraded, *([] if self.items else [Degradation.EMPTY_CATALOGUE])]
        last = history[-1] if history else None
        return Answer(
            request_id=RequestId(time_ordered_id("req", utc_now())),
            model_version=self.version,
            items=items,
            degraded=bool(reasons),
            degraded_reasons=reasons,
            features=FeatureState(
                events_in_history=len(history),
                last_event_id=last and last.event.event_id,
                age_s=last and time.monotonic() - last.at_s,
            ),
            stage_ms={"features": 3.1, "candidates": 6.4, "filter": 0.4, "rank": 4.2},
            at=utc_now(),
        )

    def recommend(self, body: dict[str, Any]) -> BaseModel:
        """Categories of what the user opened come first; what was bought is left out."""
        request = RecommendationRequest.model_validate(body)
        history = self.folded(request.user_id)
        bought = {each.event.item_id for each in history if each.event.kind == "purchase"}
        liked = [self.items[each.event.item_id].category for each in history if each.event.item_id in self.items]
        near = [self.items[item_id].category for item_id in request.similar_to if item_id in self.items]
        order = sorted(
            (item_id for item_id in self.items if item_id not in bought and item_id not in request.exclude),
            key=lambda item_id: -(near or liked).count(self.items[item_id].category),
        )
        if request.category is not None:
            order = [item_id for item_id in order if self.items[item_id].category == request.category]
        source = Source.CONTENT if near else Source.MODEL if liked else Source.TRENDING
        ranked = self.ranked(order[: request.limit], source, personal=bool(liked), explain=request.explain)
        return self.answer(ranked, history)

    def search(self, body: dict[str, Any]) -> BaseModel:
        """By words in the title or category; a picture finds the newest products first."""
        request = SearchRequest.model_validate(body)
        words = request.text.lower().split()
        ids = [
            i for i in self.items if all(w in f"{self.items[i].title} {self.items[i].category}".lower() for w in words)
        ]
        ids = ids[::-1] if request.picture_base64 else ids
        source = Source.PICTURE if request.picture_base64 else Source.TEXT
        ranked = self.ranked(ids[: request.limit], source, personal=True, explain=request.explain)
        return self.answer(ranked, self.folded(request.user_id))

    def post(self, body: dict[str, Any]) -> BaseModel:
        """Keeps the event."""
        event = SHOP_EVENT.validate_python(body)
        if event.kind is EventKind.CLICK:
            time.sleep(self.click_waits_s)
        self.posted.append(Posted(event, time.monotonic(), utc_now()))
        return EventsAnswer(accepted=1, event_ids=[event.event_id])

    def put(self, item_id: ItemId, body: dict[str, Any]) -> BaseModel:
        """Adds the item at once."""
        request = ItemRequest.model_validate(body)
        key = request.picture
        if request.picture_base64:
            sent = base64.b64decode(request.picture_base64)
            key = PictureKey(sha256(sent).hexdigest())
            self.pictures[key] = ("image/png", sent)
        self.items[item_id] = request.item(item_id, key)
        return ItemAnswer(item_id=item_id, event_id=EventId(time_ordered_id("evt", utc_now())))

    def trace(self, event_id: EventId) -> BaseModel | None:
        """The stamps that `fold_s` and `learn_s` allow by now."""
        found = next((each for each in self.posted if each.event.event_id == event_id), None)
        if found is None:
            return None
        age_s = time.monotonic() - found.at_s
        waits = [(stage, self.fold_s * place / 4) for place, stage in enumerate(STEPS)]
        waits += [(Stage.ANSWERED_WITH_FEATURES, self.fold_s)]
        waits += [(stage, self.learn_s * (place + 1) / len(LATER)) for place, stage in enumerate(LATER)]
        stamps = tuple(
            TraceStamp(
                event_id=event_id, stage=stage, at=found.at + timedelta(seconds=wait_s), model_version=self.version
            )
            for stage, wait_s in waits
            if wait_s <= age_s
        )
        return Trace(
            event_id=event_id,
            stamps=stamps,
            click_to_ranking_s=self.fold_s if age_s > self.fold_s else None,
            click_to_weights_s=self.learn_s if age_s > self.learn_s else None,
        )

    def user(self, user_id: UserId) -> dict[str, Any]:
        """The user's features, as far as the page reads them."""
        history = self.folded(user_id)
        features = {
            "recent_items": [each.event.item_id for each in history],
            "recent_event_ids": [each.event.event_id for each in history],
            "event_count": len(history),
        }
        return {
            "user_id": user_id,
            "features": features,
            "age_s": time.monotonic() - history[-1].at_s if history else None,
        }

    def listing(self) -> dict[str, Any]:
        """The categories; the page asks for no more of the listing."""
        names = [item.category for item in self.items.values()]
        return {"items": [], "total": len(names), "categories": {name: names.count(name) for name in names}}

    def freshness(self) -> FreshnessAnswer:
        """The two live figures."""
        known = len(self.posted)
        return FreshnessAnswer(
            click_to_ranking_s=Percentiles(
                n=known, p50=self.fold_s if known else None, p95=self.fold_s if known else None
            ),
            click_to_weights_s=Percentiles(
                n=known, p50=self.learn_s if known else None, p95=self.learn_s if known else None
            ),
            model_version=self.version,
            model_age_s=4.0,
            versions_served=[self.version],
        )

    def route(self, method: str, url: str, body: Any) -> BaseModel | dict[str, Any] | None:
        """The answer to one request of the API; None where there is none."""
        if self.broken is not None:
            return self.broken
        path = urlsplit(url).path
        name = unquote(path.rsplit("/", 1)[-1])
        match method, path.split("/")[2:]:
            case "POST", ["recommendations"]:
                return self.recommend(body)
            case "POST", ["search"]:
                return self.search(body)
            case "POST", ["events"]:
                return self.post(body)
            case "PUT", ["items", _]:
                return self.put(ItemId(name), body)
            case "DELETE", ["items", _]:
                del self.items[ItemId(name)]
                return ItemAnswer(item_id=ItemId(name), event_id=EventId("evt-deleted"))
            case "GET", ["items"]:
                return self.listing()
            case "GET", ["items", _] if name in self.items:
                return {"item_id": name, "item": self.card(ItemId(name)).model_dump()}
            case "GET", ["users", _]:
                return self.user(UserId(name))
            case "GET", ["traces", _]:
                return self.trace(EventId(name))
            case "GET", ["freshness"]:
                return self.freshness()
        return None
