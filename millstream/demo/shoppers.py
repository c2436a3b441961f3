"""Live shoppers: threads that ask, look, click and buy through the API like any shop's visitors, by a hidden taste.

After each action a shopper asks again until the answer was made with it: that is what the clock measures.
"""

import threading
import time
from collections.abc import Sequence

import numpy as np

from contracts.errors import StackError
from contracts.ids import EventId, SessionId
from millstream.demo.shop import Latencies, Shop
from millstream.demo.simulator import Taste, intentions

SHOPPERS = 10
THINK_S = (0.5, 1.1)
ASK_AGAIN_S = 0.1
FELT_WITHIN_S = 5.0
SESSION_LISTS = 15


class LiveShoppers:
    """All shoppers of a run.

    Args:
        url: The gateway's.
        shoppers: Their tastes, one thread each.
        seed: Of their behaviour.
        latencies: Takes the time of each recommendation.
    """

    def __init__(self, url: str, shoppers: Sequence[Taste], seed: int, latencies: Latencies):
        self._url = url
        self._latencies = latencies
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.clicks = 0
        self.events = 0
        self.lists = 0
        self.failures: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=(taste, seed + place), name=taste.user_id, daemon=True)
            for place, taste in enumerate(shoppers)
        ]

    def start(self) -> None:
        """Lets them in."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Sends them home and waits."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=15)

    def _run(self, taste: Taste, seed: int) -> None:
        rng = np.random.default_rng(seed)
        with Shop(self._url, self._latencies) as shop:
            visits = 0
            while not self._stop.wait(float(rng.uniform(*THINK_S))):
                session = SessionId(f"{taste.user_id}-{visits // SESSION_LISTS}")
                visits += 1
                try:
                    self._visit(shop, taste, session, rng)
                except StackError as error:
                    with self._lock:
                        self.failures.append(str(error))
                    self._stop.wait(1.0)

    def _visit(self, shop: Shop, taste: Taste, session: SessionId, rng: np.random.Generator) -> None:
        answer = shop.recommend(taste.user_id, session_id=session)
        acts = intentions(taste, answer.items, rng)
        with self._lock:
            self.lists += 1
            self.clicks += bool(acts)
            self.events += len(acts)
        for act in acts:
            event = shop.post_event(act.kind, taste.user_id, act.item_id, answer.request_id, session)
            self._ask_until_felt(shop, taste, session, event)

    def _ask_until_felt(self, shop: Shop, taste: Taste, session: SessionId, event: EventId) -> None:
        deadline = time.monotonic() + FELT_WITHIN_S
        while time.monotonic() < deadline and not self._stop.wait(ASK_AGAIN_S):
            if shop.recommend(taste.user_id, session_id=session).features.last_event_id == event:
                return
