"""Latency of recommendations at a fixed rate, open loop: `python -m benchmarks.recommend_latency --rate 20`.

A request's time counts from when it should have left (Tene, "How NOT to measure latency", 2013), so a stall of the
gateway is seen in every request that it delayed.
"""

import argparse
import asyncio
import time

import httpx
import numpy as np

from benchmarks.machine import machine, save
from contracts.clock import utc_now
from contracts.ids import UserId
from contracts.settings import settings
from millstream.sources.complete_journey import demo_log

WARM_UP = 40


async def measure(url: str, users: list[UserId], rate: float, seconds: float) -> tuple[list[float], list[str]]:
    """Asks for the users in turn at the rate. Returns milliseconds after the warm-up, and the failures."""
    milliseconds: list[float] = []
    failures: list[str] = []
    async with httpx.AsyncClient(base_url=url, timeout=10) as client:
        started = time.perf_counter() + 0.1

        async def one(number: int) -> None:
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            body = {"user_id": users[number % len(users)], "limit": 12}
            try:
                (await client.post("/v1/recommendations", json=body)).raise_for_status()
            except httpx.HTTPError as error:
                failures.append(repr(error))
                return
            if number >= WARM_UP:
                milliseconds.append((time.perf_counter() - due) * 1000)

        await asyncio.gather(*(one(number) for number in range(WARM_UP + round(rate * seconds))))
    return milliseconds, failures


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rate", type=float, default=20)
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--save", action="store_true")
    given = arguments.parse_args()
    users = sorted({event.user_id for event in demo_log(utc_now()).history})
    on = machine()
    milliseconds, failures = asyncio.run(measure(settings().gateway, users, given.rate, given.seconds))
    if not milliseconds:
        raise SystemExit(f"found no answer from {settings().gateway}: {failures[:1]}; expected a running stack")
    p50, p95, p99 = (float(value) for value in np.percentile(milliseconds, (50, 95, 99)))
    print(f"{given.rate:.0f} requests/s: p50 {p50:.1f} ms  p95 {p95:.1f} ms  p99 {p99:.1f} ms  "
          f"n {len(milliseconds)}  failed {len(failures)}")  # fmt: skip
    if given.save:
        result = {"machine": on, "rate": given.rate, "p50": p50, "p95": p95, "p99": p99, "n": len(milliseconds)}
        print("saved:", save("recommend_latency", result))


if __name__ == "__main__":
    main()
