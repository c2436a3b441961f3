from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from contracts.ids import ItemId
from contracts.settings import Settings
from contracts.topics import MODEL_VERSIONS
from contracts.vector_collections import model_items
from contracts.versions import PublishedVersion
from contracts.wire import decode
from eventlog.memory import MemoryLog
from feature_repo.memory import MemoryVectorIndex
from feature_repo.model_store import ModelStore
from tests.builders import shop
from training.batch import cut_times
from training.data.collate import collate
from training.data.feature_join import FeatureRows, Wanted
from training.distributed import Source, train
from training.evaluation.written import write
from training.loop import LoopConfig, Worker, make_optimizer, train_towers
from training.losses import heads_loss
from training.model.serving import ServingModel
from training.publish import IndexedVectors, Shelves
from training.run import evaluate, publish_trained
from training.tower_step import TowerStep
from training.warm_start import correlation_vectors


def quiet(what: str, share: float) -> None:
    assert 0.0 <= share <= 1.0


def test_the_towers_overfit_one_batch() -> None:
    torch.manual_seed(0)
    training_set = shop.shop(users=6, length=10)
    step = TowerStep(shop.model(training_set.table, width=32), training_set.table)
    batch = collate(training_set.users, 1, np.random.default_rng(0))
    optimizer = make_optimizer(step, 1e-2)
    first = float(step(batch).detach())
    for _ in range(150):
        optimizer.zero_grad()
        loss = step(batch)
        torch.autograd.backward(loss)
        optimizer.step()
    assert float(loss.detach()) < first / 3


def test_heads_loss_leaves_out_labels_that_are_not_known() -> None:
    logits, labels = torch.tensor([[0.0, 9.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    loss = heads_loss(logits, labels, torch.tensor([[1.0, 0.0, 1.0]]))
    assert float(loss) == pytest.approx((np.log(2) + np.log(2)) / 2)


def test_a_time_limit_ends_the_loop_early_and_the_report_says_so() -> None:
    torch.manual_seed(0)
    training_set = shop.shop()
    step = TowerStep(shop.model(training_set.table), training_set.table)
    config = LoopConfig(10_000, seconds_limit=0.3)
    report = train_towers(step, training_set.users, config, Worker(), quiet)
    assert report.out_of_time
    assert report.steps < 10_000


def test_validation_that_no_longer_falls_ends_the_epochs_and_the_best_weights_stay() -> None:
    torch.manual_seed(0)
    training_set = shop.shop()
    step = TowerStep(shop.model(training_set.table), training_set.table)
    losses = iter([4.0, 3.0, 2.0, 2.5])
    kept: list[dict[str, torch.Tensor]] = []

    def validate() -> float:
        kept.append({name: tensor.clone() for name, tensor in step.state_dict().items()})
        return next(losses)

    report = train_towers(step, training_set.users, LoopConfig(9, patience=1), Worker(), quiet, validate)
    assert len(report.losses) == 3
    for name, tensor in step.state_dict().items():
        assert torch.equal(tensor, kept[2][name])


def test_items_of_one_category_start_close_to_each_other() -> None:
    training_set = shop.shop(users=60, length=20)
    vectors = correlation_vectors(training_set.users, 12, 8, seed=0)
    places = {training_set.table.vocabulary.ids[index]: index for index in range(12)}
    near, far = (float(vectors[places[ItemId("i1")]] @ vectors[places[ItemId(other)]]) for other in ("i4", "i2"))
    assert near > far + 0.3


@pytest.fixture
def ray_settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, train_workers=0, train_epochs=8, model_width=16)


def source() -> Source:
    return Source(partial(shop.shop, 60, 24, 24), shop.no_features)


def test_a_training_without_a_cluster_publishes_a_version_that_serves(ray_settings: Settings) -> None:
    trained = train(ray_settings, source(), quiet)
    log, index, store = MemoryLog(), MemoryVectorIndex(), ModelStore(ray_settings.models_dir)
    version = publish_trained(trained, Shelves(store, index, log))
    announced = decode(PublishedVersion, log.messages(MODEL_VERSIONS)[-1].value)
    assert announced == version
    assert version.origin == "batch"
    assert version.examples == 60 * 24
    assert index.count(model_items(version.line)) == 24
    serving = ServingModel.load(store.path(version.version))
    vectors = serving.item_vectors()
    assert index.search(model_items(version.line), vectors[ItemId("i3")], 1)[0].item_id == "i3"


def test_an_evaluation_names_the_baselines_and_the_verdict(ray_settings: Settings, tmp_path: Path) -> None:
    asked: list[Wanted] = []

    def join(wanted: Wanted) -> FeatureRows:
        asked.append(wanted)
        return shop.no_features(wanted)

    evaluation = evaluate(ray_settings, tmp_path / "out", quiet, Source(source().read, join))
    counted = {"popularity", "popularity_7d", "co_visits", "popularity_7d_x_co_visits", "als"}
    assert {"model", "retrieval"} | counted == set(evaluation.rankers)
    model = evaluation.rankers["model"].ndcg_at_10
    beaten = {name for name in counted if evaluation.rankers[name].ndcg_at_10 < model}
    assert {"popularity", "popularity_7d"} <= beaten
    assert evaluation.beats_all == (beaten == counted)
    for beats_all, words in (
        (True, "The model beats every baseline."),
        (False, "The model does NOT beat every baseline."),
    ):
        write(replace(evaluation, beats_all=beats_all), tmp_path / "out")
        text = (tmp_path / "out" / "evaluation.md").read_text()
        assert next(line for line in text.splitlines() if line.startswith("The model")).startswith(words)
    assert len(asked) == 1, "features are joined once, for the log is read whole"
    cut_ms = cut_times(source().read())[1]
    assert {at_ms for _, at_ms in asked[0].users} == {at_ms for _, at_ms in asked[0].items}
    assert asked[0].until_ms == cut_ms, "nothing of the tested part is in a feature"


def test_only_vectors_that_moved_are_written_to_the_index() -> None:
    held = {ItemId("a"): np.array([1.0, 0.0], dtype=np.float32), ItemId("b"): np.array([0.0, 1.0], dtype=np.float32)}
    moved = IndexedVectors(held).moved(
        [ItemId("a"), ItemId("b"), ItemId("c")], np.array([[1.0, 0.01], [0.1, 0.99], [1.0, 0.0]], dtype=np.float32)
    )
    assert set(moved) == {"b", "c"}
