"""Swapping versions: no request is lost, a bad version is skipped, new items get vectors."""

import asyncio
import threading
from datetime import timedelta

import pytest

from contracts.errors import NoModel
from contracts.ids import ModelVersion, time_ordered_id
from contracts.vector_collections import model_items
from services.ranking.slot import ModelSlot, loaded
from tests.services.conftest import VECTORS
from tests.services.doubles import DIMENSION, FakeModel, Shop, names, unit, version


async def test_no_request_is_lost_and_none_sees_two_versions_while_versions_change(shop: Shop) -> None:
    shop.user("ann", "wine")
    stop = threading.Event()
    odd = {**VECTORS, "beer": VECTORS["soap"], "soap": VECTORS["beer"]}

    def publish() -> None:
        for number in range(2, 40):
            shop.publish_model(FakeModel(version(f"m{number:02}"), odd if number % 2 else VECTORS), indexed=False)
            shop.settle()
            if stop.wait(0.002):
                return

    publisher = threading.Thread(target=publish)
    publisher.start()
    answers = []
    while publisher.is_alive():
        answers += await asyncio.gather(*(shop.recommend(user_id="ann") for _ in range(5)))
    stop.set()
    publisher.join()
    assert all(len(answer["items"]) == 5 and not answer["degraded"] for answer in answers)
    assert len({answer["model_version"] for answer in answers}) > 1
    for answer in answers:
        by_odd = int(answer["model_version"][1:]) % 2 == 1 and answer["model_version"] != "m1"
        assert names(answer)[1] == ("soap" if by_odd else "beer"), answer["model_version"]


async def test_a_version_that_cannot_be_loaded_leaves_the_one_in_memory(shop: Shop) -> None:
    shop.publish_model(FakeModel(version("m2"), VECTORS))
    del shop.models["m2"]
    shop.parts.loader._stopped.set()  # no waiting between the attempts
    for _ in range(4):
        shop.settle()
    assert (await shop.recommend())["model_version"] == "m1"
    shop.publish_model(FakeModel(version("m3"), VECTORS))
    shop.settle()
    assert (await shop.recommend())["model_version"] == "m3"


async def test_a_version_that_cannot_rank_is_never_served(shop: Shop) -> None:
    shop.publish_model(FakeModel(version("m2"), VECTORS, fail_ranking=True))
    shop.settle()
    assert (await shop.recommend())["model_version"] == "m1"


async def test_the_version_announced_last_is_served_whatever_its_name(shop: Shop) -> None:
    for name in ("m0", "m9", "m3"):
        shop.publish_model(FakeModel(version(name), VECTORS))
        shop.settle()
        assert (await shop.recommend())["model_version"] == name


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_a_training_machines_clock_neither_hides_its_version_nor_those_after_it(shop: Shop, minutes: int) -> None:
    now = shop.clock()
    made_at = now + timedelta(minutes=minutes)
    batch = version(time_ordered_id("v", made_at), at=made_at).model_copy(update={"origin": "batch"})
    shop.publish_model(FakeModel(batch, VECTORS))
    shop.settle()
    assert (await shop.recommend())["model_version"] == batch.version
    for seconds in (3, 6):
        name = time_ordered_id("v", now + timedelta(seconds=seconds))
        learned = version(name).model_copy(update={"root": batch.version})
        shop.publish_model(FakeModel(learned, VECTORS))
        shop.settle()
        assert (await shop.recommend())["model_version"] == name


async def test_a_straggler_of_a_line_that_was_replaced_is_not_served(shop: Shop) -> None:
    old, new = (version(name).model_copy(update={"origin": "batch"}) for name in ("b1", "b2"))
    late = version("m9").model_copy(update={"root": old.version})
    for announced in (old, new, late):
        shop.publish_model(FakeModel(announced, VECTORS))
        shop.settle()
    assert (await shop.recommend())["model_version"] == "b2"
    for announced in (old, late):
        shop.publish_model(FakeModel(announced, VECTORS))
        shop.settle()
    assert (await shop.recommend())["model_version"] == "m9"  # a person announced its batch version again


async def test_a_batch_version_is_served_though_one_of_the_learner_with_a_newer_name_came_first(shop: Shop) -> None:
    batch = version("m0").model_copy(update={"origin": "batch"})
    shop.publish_model(FakeModel(batch, VECTORS))
    shop.settle()
    assert (await shop.recommend())["model_version"] == "m0"


async def test_a_new_item_is_ranked_and_retrieved_before_the_next_version(shop: Shop) -> None:
    shop.user("ann", "wine")
    shop.put("cider", category="food")
    shop.content("cider", unit(0.99, 0.05))
    shop.settle()
    answer = await shop.recommend(user_id="ann", limit=2)
    assert names(answer) == ["wine", "cider"]
    assert "model" in answer["items"][1]["sources"]
    assert answer["model_version"] == "m1"


async def test_vectors_of_another_line_are_not_searched_and_lost_ones_are_flagged(shop: Shop) -> None:
    shop.user("ann", "wine")
    batch = version("b1").model_copy(update={"origin": "batch"})
    shop.publish_model(FakeModel(batch, VECTORS))
    shop.settle()
    before = await shop.recommend(user_id="ann")
    other = model_items(ModelVersion("b2"))
    shop.index.ensure(other, DIMENSION)
    shop.index.upsert(other, {item_id: -vector for item_id, vector in FakeModel(batch, VECTORS).item_vectors().items()})
    assert names(await shop.recommend(user_id="ann")) == names(before)
    shop.index.drop(model_items(batch.line))
    lost = await shop.recommend(user_id="ann")
    assert names(lost) == names(before)
    assert lost["degraded_reasons"] == ["vectors_unavailable"]


def test_a_slot_without_a_model_says_so() -> None:
    with pytest.raises(NoModel, match="millstream train"):
        ModelSlot().current()


def test_the_nearest_items_are_exact_and_can_be_kept_to_some() -> None:
    model = loaded(FakeModel(version("m1"), VECTORS))
    assert [hit.item_id for hit in model.nearest(unit(1), 2)] == ["wine", "beer"]
    assert [hit.item_id for hit in model.nearest(unit(1), 2, ("soap", "butter", "ghost"))] == ["butter", "soap"]
    assert model.nearest(unit(1), 2, ()) == []
