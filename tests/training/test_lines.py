"""A line of versions and its vectors: a batch version that was not announced touches nothing that is served."""

from pathlib import Path

import numpy as np
import pytest
import torch

from contracts.clock import from_ms
from contracts.errors import LogUnavailable, VectorsUnavailable
from contracts.events import EventKind
from contracts.ids import ItemId, ModelVersion
from contracts.vector_collections import MODEL_ITEMS, model_items
from contracts.versions import PublishedVersion
from tests.builders import shop
from tests.builders.files import long_ago
from tests.builders.learner_loop import KEPT, Loop
from training.incremental.upkeep import VECTORS_LOST
from training.model.checkpoint import Checkpoint
from training.model.features import ItemFacts
from training.model.serving import History, ServingModel
from training.publish import IndexedVectors, publish
from training.run import PATIENCE, publish_patiently
from training.snapshot import Snapshot

ITEMS = 60


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    torch.set_num_threads(1)
    made = Loop(tmp_path)
    for content in shop.contents(ITEMS):
        made.put(content)
    return made


def trained(name: str, seed: int) -> tuple[PublishedVersion, Checkpoint]:
    torch.manual_seed(seed)
    table = shop.table(shop.contents(ITEMS))
    model = shop.model(table)
    facts = tuple(ItemFacts.of(table.item(item_id)) for item_id in table.vocabulary)
    made = Checkpoint(model, table.vocabulary, facts, Snapshot.of(model, table).vectors.numpy(), table.ids)
    version = PublishedVersion(
        version=ModelVersion(name), parent=None, origin="batch", created_at=from_ms(shop.START_MS), data_from=None,
        data_to=from_ms(shop.START_MS), examples=100,
    )  # fmt: skip
    return version, made


def agreement(loop: Loop, version: PublishedVersion) -> float:
    """Share of a version's own ten nearest items that its collection gives, over some users."""
    model = ServingModel.load(loop.store.path(version.version))
    ids, rng, shares = list(model.item_ids), np.random.default_rng(0), []
    matrix = np.stack([model.item_vectors()[item_id] for item_id in ids])
    for _ in range(20):
        items = tuple(ItemId(f"i{place}") for place in rng.integers(0, ITEMS, 4))
        user = model.user_vector(History(items, (EventKind.CLICK,) * 4, (1, 2, 3, 4)), 1000)
        exact = {ids[place] for place in np.argsort(-(matrix @ user))[:10]}
        found = {hit.item_id for hit in loop.index.search(model_items(version.line), user, 10)}
        shares.append(len(exact & found) / 10)
    return float(np.mean(shares))


def clicks(loop: Loop, start: int) -> None:
    loop.feed(*(shop.example(start + number, f"i{number * 7 % ITEMS}", ("i1", "i2")) for number in range(20)))
    loop.run(turns=1)


def test_a_batch_version_that_could_not_be_announced_leaves_the_served_ones_vectors_alone(loop: Loop) -> None:
    publish(*trained("v-000", 0), loop.shelves, IndexedVectors(), kept=KEPT)
    clicks(loop, 0)
    served = loop.versions()[-1]
    before = agreement(loop, served)
    loop.log.available = False
    with pytest.raises(LogUnavailable):
        publish(*trained("v-001-batch", 5), loop.shelves, IndexedVectors(), kept=KEPT)
    loop.log.available = True
    assert loop.versions()[-1] == served
    assert agreement(loop, served) == before > 0.9
    clicks(loop, 100)
    assert agreement(loop, loop.versions()[-1]) > 0.9


def test_announcing_it_again_makes_up_for_it(loop: Loop) -> None:
    publish(*trained("v-000", 0), loop.shelves, IndexedVectors(), kept=KEPT)
    loop.log.available, waits = False, []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        loop.log.available = len(waits) == 3

    publish_patiently(*trained("v-001-batch", 5), loop.shelves, KEPT, wait=wait)
    assert len(waits) == 3
    assert loop.versions()[-1].version == loop.store.announced()[-1] == "v-001-batch"
    assert agreement(loop, loop.versions()[-1]) == 1.0


@pytest.mark.parametrize("part", ["index", "log"])
def test_a_trained_version_that_cannot_be_published_stays_on_the_disk(loop: Loop, part: str) -> None:
    getattr(loop, part).available = False
    waits: list[float] = []
    with pytest.raises((LogUnavailable, VectorsUnavailable)):
        publish_patiently(*trained("v-000", 0), loop.shelves, KEPT, wait=waits.append)
    assert len(waits) == PATIENCE - 1
    assert loop.store.versions() == ["v-000"]
    assert loop.store.latest() is None


def test_the_vectors_of_a_line_go_when_its_batch_version_is_gone_and_not_before(loop: Loop) -> None:
    loop.index.ensure(MODEL_ITEMS, 16)
    for name, seed in (("v-a", 0), ("v-b", 1)):
        publish(*trained(name, seed), loop.shelves, IndexedVectors(), kept=KEPT)
        clicks(loop, 1000 * seed)
    assert loop.index.collections() == [model_items(ModelVersion(name)) for name in ("v-a", "v-b")]
    loop.store.write(trained("v-half", 2)[0], lambda path: None)  # another machine's, under way
    loop.index.ensure(model_items(ModelVersion("v-half")), 16)
    for number in range(6):
        clicks(loop, 2000 + 100 * number)
    loop.restart()
    clicks(loop, 4000)
    assert loop.index.collections() == [model_items(ModelVersion(name)) for name in ("v-b", "v-half")]
    long_ago(loop.store.path(ModelVersion("v-half")), seconds=86400 + 60)
    clicks(loop, 5000)
    loop.restart()
    clicks(loop, 6000)
    assert loop.index.collections() == [model_items(ModelVersion("v-b"))]


def test_an_index_that_lost_its_vectors_gets_them_again_and_it_is_counted(loop: Loop) -> None:
    version = trained("v-000", 0)
    publish(*version, loop.shelves, IndexedVectors(), kept=KEPT)
    clicks(loop, 0)
    loop.index.drop(model_items(version[0].line))
    for number in range(1, 9):
        clicks(loop, 100 * number)
    assert loop.index.count(model_items(version[0].line)) == ITEMS
    assert agreement(loop, loop.versions()[-1]) > 0.9
    assert loop.flow._metrics.failures.labels(VECTORS_LOST)._value.get() == 1


def test_a_new_learner_finds_an_index_that_lost_its_vectors(loop: Loop) -> None:
    publish(*trained("v-000", 0), loop.shelves, IndexedVectors(), kept=KEPT)
    clicks(loop, 0)
    loop.index.drop(model_items(ModelVersion("v-000")))
    loop.restart()
    loop.run(turns=8)
    assert loop.index.count(model_items(ModelVersion("v-000"))) == ITEMS
