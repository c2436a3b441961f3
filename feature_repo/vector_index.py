"""The vector index in Milvus: the port `VectorIndex` on the Milvus Lite server and on Milvus 2.3 and later.

A call to a server that is away fails within `timeout_s`; for a second after that, calls fail at once, so that requests
do not queue up behind a dead server. The client is made anew after each failure: a restarted server has its
collections unloaded, and they are loaded again at their next use.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import grpc
from pymilvus import DataType, MilvusClient
from pymilvus.client.types import Status
from pymilvus.exceptions import MilvusException

from contracts.addresses import shown_address, without_secrets
from contracts.errors import VectorsUnavailable
from contracts.ids import ItemId
from contracts.ports import VectorHit, Vectors

log = logging.getLogger(__name__)

KEY = "item_id"
VECTOR = "vector"
KEY_MAX_BYTES = 512
RETRY_AFTER_S = 1.0
WRITE_BATCH = 1000
CREATE_TIMEOUT_S = 30.0
"""Creating, loading and flushing take longer than a search; they are no part of a request."""

FLUSH_ROWS = 1000
FLUSH_REST_ROWS = 100
FLUSH_REST_AFTER_S = 1.0
"""Milvus Lite copies the rows that are not flushed for each search, 15 to 25 ms per 1,000: it is told to flush every
`FLUSH_ROWS`, and what is left, from `FLUSH_REST_ROWS` on, once a collection was not written for a while. A real Milvus
seals its segments itself, and a flush there takes three seconds."""

LITE = "milvus_lite"
"""How Milvus Lite begins its version."""

WRITE_TIMEOUT_S = 5.0
"""A batch of `WRITE_BATCH` rows may take longer than a search; writers are no part of a request."""

Answer = TypeVar("Answer")


class MilvusIndex:
    """Implements `contracts.ports.VectorIndex`; safe to share between threads; connects at the first call.

    Args:
        uri: `http://host:port`.
        token: `user:password` or an API key; empty where the server asks for none.
        timeout_s: The longest that a search, a delete or a count takes; an upsert has `WRITE_TIMEOUT_S` a batch.
    """

    def __init__(self, uri: str, token: str = "", timeout_s: float = 2.0):
        self._uri, self._shown = uri, shown_address(uri)
        self._token = token
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        # It logs each failure with every traceback on the way; the caller gets the error.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        self._client: MilvusClient | None = None
        self._down_until = 0.0
        self._loaded: set[str] = set()
        self._unflushed: dict[str, int] = {}
        self._rest: dict[str, threading.Timer] = {}
        self._lite: bool | None = None

    def ensure(self, collection: str, dimension: int) -> None:
        """Creates the collection where it is not there; replaces it where its dimension differs.

        Raises VectorsUnavailable.
        """
        self._answered(lambda client: self._ensure(client, collection, dimension))

    def upsert(self, collection: str, vectors: Mapping[ItemId, Vectors]) -> None:
        """Adds or replaces vectors, each of shape (D,). Raises VectorsUnavailable."""
        rows = [{KEY: item_id, VECTOR: vector.tolist()} for item_id, vector in vectors.items()]
        for start in range(0, len(rows), WRITE_BATCH):
            self._answered(partial(self._upsert, collection=collection, rows=rows[start : start + WRITE_BATCH]))

    def delete(self, collection: str, item_ids: Sequence[ItemId]) -> None:
        """Removes vectors; an id or a collection that is not there is no error. Raises VectorsUnavailable."""
        if item_ids:
            self._answered(lambda client: self._delete(client, collection, list(item_ids)))

    def search(self, collection: str, query: Vectors, limit: int) -> list[VectorHit]:
        """The nearest items to a query of shape (D,), best first; empty where the collection is not there.

        Raises VectorsUnavailable.
        """
        if limit < 1:
            return []
        return self._answered(lambda client: self._search(client, collection, query, limit))

    def count(self, collection: str) -> int:
        """How many vectors the collection holds; 0 where it is not there. Raises VectorsUnavailable."""
        return self._answered(lambda client: self._count(client, collection))

    def collections(self) -> list[str]:
        """The names of all collections, sorted. Raises VectorsUnavailable."""
        return self._answered(lambda client: sorted(client.list_collections(timeout=self._timeout_s)))

    def drop(self, collection: str) -> None:
        """Removes a collection with its vectors; one that is not there is no error. Raises VectorsUnavailable."""
        self._answered(lambda client: client.drop_collection(collection, timeout=CREATE_TIMEOUT_S))
        self._loaded.discard(collection)

    def close(self) -> None:
        """Releases the connection; a later call opens it anew."""
        for timer in self._rest.values():
            timer.cancel()
        self._forget()

    def _ensure(self, client: MilvusClient, collection: str, dimension: int) -> None:
        if client.has_collection(collection, timeout=self._timeout_s):
            described = client.describe_collection(collection, timeout=self._timeout_s)
            found = next(int(f["params"]["dim"]) for f in described["fields"] if f["name"] == VECTOR)
            if found == dimension:
                self._ready(client, collection)
                return
            client.drop_collection(collection, timeout=CREATE_TIMEOUT_S)
            self._loaded.discard(collection)
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field(KEY, DataType.VARCHAR, is_primary=True, max_length=KEY_MAX_BYTES)
        schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=dimension)
        index = MilvusClient.prepare_index_params()
        if self._is_lite(client):
            # Its segments are small, and rebuilding a graph at each flush costs more than searching them whole.
            index.add_index(VECTOR, index_type="FLAT", metric_type="IP")
        else:
            index.add_index(VECTOR, index_type="HNSW", metric_type="IP", params={"M": 16, "efConstruction": 200})
        client.create_collection(collection, schema=schema, index_params=index, timeout=CREATE_TIMEOUT_S)
        self._ready(client, collection)

    def _upsert(self, client: MilvusClient, collection: str, rows: list[dict[str, Any]]) -> None:
        if not self._ready(client, collection):
            raise VectorsUnavailable(f"found no collection {collection!r} at {self._shown}; expected it ensured first")
        client.upsert(collection, rows, timeout=max(self._timeout_s, WRITE_TIMEOUT_S))
        self._flush_when_due(client, collection, len(rows))

    def _delete(self, client: MilvusClient, collection: str, item_ids: list[ItemId]) -> None:
        if self._ready(client, collection):
            # The client would put the ids into its filter unquoted: one with a quote breaks it, or deletes more.
            ids = ", ".join(json.dumps(item_id, ensure_ascii=False) for item_id in item_ids)
            client.delete(collection, filter=f"{KEY} in [{ids}]", timeout=self._timeout_s)

    def _search(self, client: MilvusClient, collection: str, query: Vectors, limit: int) -> list[VectorHit]:
        if not self._ready(client, collection):
            return []
        found = client.search(
            collection,
            data=[query.tolist()],
            anns_field=VECTOR,
            limit=limit,
            search_params={"metric_type": "IP", "params": {"ef": max(64, 2 * limit)}},
            timeout=self._timeout_s,
        )
        return [VectorHit(ItemId(hit.get("id", hit.get(KEY))), float(hit["distance"])) for hit in found[0]]

    def _count(self, client: MilvusClient, collection: str) -> int:
        if not self._ready(client, collection):
            return 0
        rows = client.query(collection, filter="", output_fields=["count(*)"], timeout=self._timeout_s)
        return int(rows[0]["count(*)"])

    def _ready(self, client: MilvusClient, collection: str) -> bool:
        """Whether the collection is there; loads it at its first use by this connection."""
        if collection in self._loaded:
            return True
        if not client.has_collection(collection, timeout=self._timeout_s):
            return False
        client.load_collection(collection, timeout=CREATE_TIMEOUT_S)
        self._loaded.add(collection)
        return True

    def _is_lite(self, client: MilvusClient) -> bool:
        if self._lite is None:
            self._lite = client.get_server_version(timeout=self._timeout_s).startswith(LITE)
        return self._lite

    def _flush_when_due(self, client: MilvusClient, collection: str, rows: int) -> None:
        if not self._is_lite(client):
            return
        with self._lock:
            waiting = self._unflushed[collection] = self._unflushed.get(collection, 0) + rows
            if timer := self._rest.pop(collection, None):
                timer.cancel()
            if FLUSH_REST_ROWS <= waiting < FLUSH_ROWS:
                timer = self._rest[collection] = threading.Timer(FLUSH_REST_AFTER_S, self._flush_rest, (collection,))
                timer.daemon = True
                timer.start()
        if waiting >= FLUSH_ROWS:
            self._flush(client, collection)

    def _flush_rest(self, collection: str) -> None:
        try:
            self._answered(lambda client: self._flush(client, collection))
        except VectorsUnavailable as error:
            log.warning("rows of %s stay unflushed, searches are slower: %s", collection, error)

    def _flush(self, client: MilvusClient, collection: str) -> None:
        with self._lock:
            self._unflushed[collection] = 0
        client.flush(collection, timeout=CREATE_TIMEOUT_S)

    def _answered(self, call: Callable[[MilvusClient], Answer]) -> Answer:
        """The call's answer; asked once more when a collection may have been unloaded or replaced meanwhile."""
        started = time.monotonic()
        try:
            try:
                return call(self._connected())
            except MilvusException as error:
                if self._away(error, started) or not self._loaded:
                    raise
                self._loaded.clear()
                return call(self._connected())
        except (MilvusException, grpc.RpcError, OSError, ValueError) as error:
            if self._away(error, started):
                self._forget()
                with self._lock:
                    self._down_until = time.monotonic() + RETRY_AFTER_S
            told = without_secrets(error, self._uri, self._token)[:300]
            raise VectorsUnavailable(
                f"found {type(error).__name__} ({told}) from {self._shown}; expected an answer within "
                f"{self._timeout_s} s; check that Milvus runs and that the vectors have the collection's dimension"
            ) from error

    def _away(self, error: Exception, started: float) -> bool:
        """Whether the server is at fault, and not what it was asked: no answer, or one too late."""
        if not isinstance(error, MilvusException) or error.code == Status.CONNECT_FAILED:
            return True
        return not isinstance(error.code, int) or time.monotonic() - started >= self._timeout_s

    def _connected(self) -> MilvusClient:
        with self._lock:
            if self._client is not None:
                return self._client
            if time.monotonic() < self._down_until:
                raise VectorsUnavailable(
                    f"found {self._shown} away a moment ago; expected an answer; retry in a second"
                )
            self._client = MilvusClient(uri=self._uri, token=self._token, timeout=self._timeout_s, dedicated=True)
            self._loaded.clear()
            return self._client

    def _forget(self) -> None:
        with self._lock:
            client, self._client = self._client, None
            self._loaded.clear()
        if client is not None:
            client.close()
