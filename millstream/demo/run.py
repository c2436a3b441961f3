"""The flow of `millstream demo`, top to bottom: stack, catalogue, history, first model, page, live shoppers.

With a number of seconds it runs headless: the first-five-minutes script is walked through while the shoppers shop, and
the summary is written. However it ends, the stack ends with it.
"""

import threading
import time
import webbrowser
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from contracts.catalogue import Item
from contracts.clock import utc_now
from contracts.errors import StackError
from contracts.ids import ItemId
from contracts.settings import Settings
from contracts.versions import PublishedVersion
from feature_repo.pictures import FilePictureStore
from millstream import console
from millstream.commands.train import beats_baselines, say_verdict, train_and_publish
from millstream.commands.up import start_and_show
from millstream.demo.first_five_minutes import FirstFiveMinutes
from millstream.demo.live_tail import LiveTail
from millstream.demo.pictures.draw import drawn
from millstream.demo.shop import Latencies, Shop
from millstream.demo.shoppers import SHOPPERS, LiveShoppers
from millstream.demo.simulator import tastes
from millstream.demo.summary import DemoSummary, figures_line, latency, live_figure, traffic
from millstream.demo.waits import wait_for_archive, wait_for_topics, wait_for_vectors, wait_until_served
from millstream.sources.complete_journey import REMARK, DemoLog, demo_log
from millstream.sources.publish import publish_items
from millstream.sources.replaying import replay_events, wait_until_consumed
from millstream.stack.client import stack_mark, stop_stack
from millstream.stack.kin import resident_bytes

FIGURES_EVERY_S = 2.0


@dataclass(frozen=True)
class Catalogue:
    """The demo's log, and its items with their pictures stored."""

    log: DemoLog
    items: dict[ItemId, Item]
    pictures: dict[ItemId, bytes]


def run_demo(settings: Settings, seconds: float) -> None:
    """Runs the demo: until Ctrl-C, or headless for about `seconds` of live shopping.

    Raises:
        MillstreamError: a step did not happen; the message says which.
    """
    started = time.monotonic()
    try:
        with ThreadPoolExecutor(max_workers=1) as background:
            preparing = background.submit(put_on_the_log, settings)
            start_and_show(settings, leashed=True)
            catalogue = _prepared(preparing)
        version = fill(settings, catalogue)
        seconds_to_open = time.monotonic() - started
        console.say(f"[bold green]the shop is open:[/] {settings.gateway}  (after {seconds_to_open:.0f} s)")
        latencies = Latencies()
        with live(settings, catalogue, latencies) as shoppers, Shop(settings.gateway, Latencies()) as shop:
            if seconds:
                notes = walk(settings, catalogue, shop, shoppers, seconds)
                summarise(settings, shop, shoppers, latencies, version, seconds_to_open, notes)
            else:
                webbrowser.open(settings.gateway)
                console.say("live shoppers (simulated) are shopping; Ctrl-C ends everything")
                show_figures(shop, shoppers)
    except KeyboardInterrupt:
        console.say("\nending")
    finally:
        with console.step("Stopping the stack"):
            stop_stack(settings)


def prepare_catalogue(settings: Settings) -> Catalogue:
    """Reads the demo's log and draws its pictures, while the stack starts."""
    log = demo_log(utc_now(), seed=settings.seed)
    pictures = drawn(log.items, settings.cache_dir / "pictures")
    store = FilePictureStore(settings.pictures_dir, settings.picture_max_bytes)
    items = [item.model_copy(update={"picture": store.put(pictures[item.item_id])}) for item in log.items]
    return Catalogue(log, {item.item_id: item for item in items}, pictures)


def put_on_the_log(settings: Settings) -> Catalogue:
    """Prepares the catalogue and puts it and the history on the log, while the rest of the stack still starts."""
    catalogue = prepare_catalogue(settings)
    wait_for_topics(settings)
    publish_items(settings, list(catalogue.items.values()), _unseen)
    replay_events(settings, catalogue.log.history, 0.0, _unseen, total=len(catalogue.log.history))
    return catalogue


def fill(settings: Settings, catalogue: Catalogue) -> PublishedVersion:
    """Waits until catalogue and history are folded, trains and publishes the first model."""
    console.say(f"{len(catalogue.items)} products and {len(catalogue.log.history):,} events are on the log")
    console.say(REMARK)
    with console.step("Folding them into features and examples") as advance:
        wait_until_consumed(settings, advance)
    with console.step("Encoding texts and pictures") as advance:
        wait_for_vectors(settings, len(catalogue.items), advance)
    with console.step("Archiving"):
        wait_for_archive(settings)
    with console.step("Training the first model") as advance:
        version = train_and_publish(settings, advance)
    say_verdict(version)
    with console.step("Serving it"):
        wait_until_served(settings, version)
    return version


@contextmanager
def live(settings: Settings, catalogue: Catalogue, latencies: Latencies) -> Iterator[LiveShoppers]:
    """Simulated shoppers and the tail of the log, for as long as the block lasts."""
    categories = sorted({item.category for item in catalogue.items.values()})
    brands = sorted({item.brand for item in catalogue.items.values()})
    shoppers = LiveShoppers(
        settings.gateway, tastes(categories, brands, SHOPPERS, settings.seed), settings.seed, latencies
    )
    tail = LiveTail(settings, catalogue.log.live)
    shoppers.start()
    tail.start()
    try:
        yield shoppers
    finally:
        shoppers.stop()
        tail.stop()


def walk(settings: Settings, catalogue: Catalogue, shop: Shop, shoppers: LiveShoppers, seconds: float) -> list[str]:
    """Walks through the first five minutes, and lets the shoppers go on until the seconds are over."""
    until = time.monotonic() + seconds
    console.say("the first five minutes of a visitor:")
    script = FirstFiveMinutes(settings, shop, catalogue.items, catalogue.pictures, console.say_plain)
    notes = script.run()
    while time.monotonic() < until:
        time.sleep(min(FIGURES_EVERY_S, max(0.0, until - time.monotonic())))
    console.say(figures_line(shop.freshness(), shoppers.lists, shoppers.clicks))
    return notes


def summarise(
    settings: Settings,
    shop: Shop,
    shoppers: LiveShoppers,
    latencies: Latencies,
    version: PublishedVersion,
    seconds_to_open: float,
    notes: list[str],
) -> None:
    """Writes and shows the summary. Raises StackError when a figure was not measured or a shopper was failed."""
    freshness = shop.freshness()
    entered, made = traffic(settings)
    summary = DemoSummary(
        click_to_ranking_s=live_figure("click -> changed ranking", freshness.click_to_ranking_s),
        click_to_weights_s=live_figure("click -> changed weights", freshness.click_to_weights_s),
        recommend_ms=latency(latencies.all_ms()),
        seconds_to_open=round(seconds_to_open, 1),
        resident_mb=round(resident_bytes(stack_mark(settings)) / 1e6, 1),
        model_versions_served=freshness.versions_served,
        events_in=entered,
        events_out=made,
        beats_baselines=beats_baselines(version),
        first_five_minutes=notes,
    )
    path = summary.write()
    ranking, weights, asked = summary.click_to_ranking_s, summary.click_to_weights_s, summary.recommend_ms
    console.say(f"click -> changed ranking  p50 {ranking.p50:.2f} s  p95 {ranking.p95:.2f} s  n {ranking.n}")
    console.say(f"click -> changed weights  p50 {weights.p50:.2f} s  p95 {weights.p95:.2f} s  n {weights.n}")
    console.say(f"recommendation  p50 {asked.p50:.1f} ms  p95 {asked.p95:.1f} ms  p99 {asked.p99:.1f} ms  n {asked.n}")
    console.say(
        f"open after {summary.seconds_to_open:.0f} s, {summary.resident_mb:.0f} MB resident, "
        f"{len(summary.model_versions_served)} model versions served; written to {path}"
    )
    if len(summary.model_versions_served) < 2:
        raise StackError(
            f"found {len(summary.model_versions_served)} model version served; expected at least 2: the learner's too"
        )
    if shoppers.failures:
        raise StackError(
            f"found {len(shoppers.failures)} failed requests of shoppers; expected none: {shoppers.failures[0]}"
        )


def show_figures(shop: Shop, shoppers: LiveShoppers) -> None:
    """Shows the two live figures until Ctrl-C."""
    pause = threading.Event()
    if not console.interactive():
        while not pause.wait(FIGURES_EVERY_S * 5):
            console.say(_line(shop, shoppers))
        return
    with console.out.status(_line(shop, shoppers)) as shown:
        while not pause.wait(FIGURES_EVERY_S):
            shown.update(_line(shop, shoppers))


def _line(shop: Shop, shoppers: LiveShoppers) -> str:
    try:
        return figures_line(shop.freshness(), shoppers.lists, shoppers.clicks)
    except StackError as error:
        return f"the gateway is away for the moment: {str(error)[:100]}"


def _prepared(preparing: "Future[Catalogue]") -> Catalogue:
    with console.step("Drawing the pictures, loading the products, replaying the history"):
        return preparing.result()


def _unseen(done: float, total: float, what: str) -> None:
    """Progress while the stack's own start is shown."""
