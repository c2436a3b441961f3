"""The shop's API as the demo uses it: recommendations, events, search, items, freshness, with latencies kept."""

import base64
import threading
import time
from types import TracebackType
from typing import Any, Self

import httpx

from contracts.errors import StackError
from contracts.events import EventKind
from contracts.ids import EventId, ItemId, RequestId, SessionId, UserId
from contracts.requests import Answer, EventsAnswer, FreshnessAnswer, ItemAnswer, ItemRequest
from contracts.traces import Trace

TIMEOUT_S = 10.0


class Latencies:
    """Milliseconds of answers, from any thread."""

    def __init__(self) -> None:
        self._ms: list[float] = []
        self._lock = threading.Lock()

    def add(self, ms: float) -> None:
        """Keeps one."""
        with self._lock:
            self._ms.append(ms)

    def all_ms(self) -> list[float]:
        """All so far."""
        with self._lock:
            return list(self._ms)


class Shop:
    """One client of the gateway; for one thread.

    Args:
        url: The gateway's.
        latencies: Takes the time of each recommendation.
    """

    def __init__(self, url: str, latencies: Latencies | None = None):
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT_S)
        self._latencies = latencies

    def __enter__(self) -> Self:
        """Opens nothing: connections are made as needed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the connections."""
        self._client.close()

    def recommend(
        self, user_id: UserId, *, session_id: SessionId | None = None, limit: int = 12, explain: bool = False
    ) -> Answer:
        """A list for a user. Raises StackError on an error answer."""
        started = time.perf_counter()
        body = {"user_id": user_id, "session_id": session_id, "limit": limit, "explain": explain}
        answer = Answer.model_validate(self._post("/v1/recommendations", body))
        if self._latencies is not None:
            self._latencies.add((time.perf_counter() - started) * 1000)
        return answer

    def post_event(
        self,
        kind: EventKind,
        user_id: UserId,
        item_id: ItemId,
        request_id: RequestId | None,
        session_id: SessionId | None = None,
    ) -> EventId:
        """Tells what a user did with an item. Raises StackError when it was not accepted."""
        body = {
            "kind": kind.value, "user_id": user_id, "item_id": item_id, "request_id": request_id,
            "session_id": session_id,
        }  # fmt: skip
        answer = EventsAnswer.model_validate(self._post("/v1/events", body))
        return answer.event_ids[0]

    def search(self, text: str = "", picture: bytes | None = None, user_id: UserId | None = None) -> Answer:
        """Searches by text, picture or both. Raises StackError on an error answer."""
        encoded = None if picture is None else base64.b64encode(picture).decode()
        return Answer.model_validate(
            self._post("/v1/search", {"text": text, "picture_base64": encoded, "user_id": user_id})
        )

    def put_item(self, item_id: ItemId, item: ItemRequest) -> ItemAnswer:
        """Adds or changes an item. Raises StackError on an error answer."""
        return ItemAnswer.model_validate(self._answer("PUT", f"/v1/items/{item_id}", item.model_dump()))

    def delete_item(self, item_id: ItemId) -> ItemAnswer:
        """Removes an item. Raises StackError on an error answer."""
        return ItemAnswer.model_validate(self._answer("DELETE", f"/v1/items/{item_id}", None))

    def freshness(self) -> FreshnessAnswer:
        """The two live figures. Raises StackError on an error answer."""
        return FreshnessAnswer.model_validate(self._answer("GET", "/v1/freshness", None))

    def trace(self, event_id: EventId) -> Trace:
        """The way of one event so far. Raises StackError on an error answer."""
        return Trace.model_validate(self._answer("GET", f"/v1/traces/{event_id}", None))

    def read(self, path: str) -> httpx.Response:
        """Any page or picture. Raises StackError on an error answer."""
        return self._response("GET", path, None)

    def _post(self, path: str, body: dict[str, Any]) -> object:
        return self._answer("POST", path, body)

    def _answer(self, method: str, path: str, body: dict[str, Any] | None) -> object:
        return self._response(method, path, body).json()

    def _response(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        try:
            response = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise StackError(
                f"found no answer from {method} {path} ({error!r}); expected one: millstream status"
            ) from error
        if response.is_error:
            raise StackError(
                f"found {response.status_code} from {method} {path}: {response.text[:300]}; expected success"
            )
        return response
