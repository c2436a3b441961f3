"""Swapping versions: no request is lost, a bad version is skipped, new items get vectors."""

import asyncio
import threading

import pytest

from contracts.errors import NoModel
from services.ranking.slot import ModelSlot, loaded
from tests.services.conftest import VECTORS
from tests.services.doubles import FakeModel, Shop, names, unit, version


async def test_no_request_is_lost_and_none_sees_two_versions_while_versions_change(shop: Shop) -> None:
    shop.user("ann", "wine")
    stop = threading.Event()

    def publish() -> None:
        for number in range(2, 40):
            shop.publish_model(FakeModel(version(f"m{number:02}"), VECTORS), indexed=False)
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


async def test_an_older_announcement_is_ignored(shop: Shop) -> None:
    shop.publish_model(FakeModel(version("m0"), VECTORS))
    shop.settle()
    assert (await shop.recommend())["model_version"] == "m1"


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


def test_a_slot_without_a_model_says_so() -> None:
    with pytest.raises(NoModel, match="millstream train"):
        ModelSlot().current()


def test_the_nearest_items_are_exact_and_can_be_kept_to_some() -> None:
    model = loaded(FakeModel(version("m1"), VECTORS))
    assert [hit.item_id for hit in model.nearest(unit(1), 2)] == ["wine", "beer"]
    assert [hit.item_id for hit in model.nearest(unit(1), 2, ("soap", "butter", "ghost"))] == ["butter", "soap"]
    assert model.nearest(unit(1), 2, ()) == []
