import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from contracts.errors import BadCheckpoint, ModelError
from contracts.events import EventKind
from contracts.features import ItemFeatures, UserFeatures
from contracts.ids import ItemId, ModelVersion
from contracts.versions import PublishedVersion
from feature_repo.model_store import ModelStore
from tests.builders import shop
from training.compression.onnx_encoder import onnx_encoder
from training.model import checkpoint
from training.model.checkpoint import Checkpoint
from training.model.features import HEAD_FEATURES, Candidates, ItemFacts, head_features
from training.model.fusion import FusionTransformer
from training.model.heads import ranking_score
from training.model.serving import EMPTY_HISTORY, History, ItemContent, ServingModel
from training.model.user_encoder import UserEncoder
from training.snapshot import Snapshot

NOW_MS = shop.START_MS + 3_600_000
HISTORY = History(
    (ItemId("i1"), ItemId("i4")), (EventKind.CLICK, EventKind.PURCHASE), (shop.START_MS, shop.START_MS + 60_000)
)
USER = UserFeatures(
    event_count=2,
    last_event_ms=shop.START_MS + 60_000,
    purchased_items=("i4",),
    category_names=("category 1",),
    category_weights=(2.0,),
)
ROW = ItemFeatures(
    purchases_7d=3, trend_score=1.5, last_event_ms=shop.START_MS, co_visit_items=("i4",), co_visit_weights=(2.0,)
)


def published(directory: Path) -> Path:
    torch.manual_seed(0)
    table = shop.table(shop.contents())
    model = shop.model(table)
    for weight in (model.heads.out.weight, model.heads.direct.weight, model.bias.weight):
        torch.nn.init.normal_(weight, std=0.3)
    facts = tuple(ItemFacts.of(table.item(item_id)) for item_id in table.vocabulary)
    made = Checkpoint(model, table.vocabulary, facts, Snapshot.of(model, table).vectors.numpy(), table.ids)
    version = PublishedVersion(
        version=ModelVersion("v1"),
        parent=None,
        origin="batch",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        data_from=None,
        data_to=None,
        examples=1,
        features=HEAD_FEATURES,
    )
    return ModelStore(directory).write(version, lambda path: checkpoint.save(path, made))


def item_row(item_id: ItemId) -> ItemFeatures | None:
    return ROW if item_id in ("i1", "i7") else None


def test_a_saved_model_loads_equal(tmp_path: Path) -> None:
    directory = published(tmp_path)
    loaded = checkpoint.load(directory)
    table = shop.table(shop.contents())
    with torch.no_grad():
        assert np.allclose(loaded.model.items(table.tokens()).numpy(), loaded.item_matrix, atol=1e-6)
    again = tmp_path / "again"
    again.mkdir()
    checkpoint.save(again, loaded)
    other = checkpoint.load(again)
    assert list(other.vocabulary.ids) == list(loaded.vocabulary.ids)
    assert other.facts == loaded.facts
    for name, tensor in loaded.model.state_dict().items():
        assert torch.equal(tensor, other.model.state_dict()[name])


@pytest.mark.parametrize("name", ["weights.safetensors", "model.json", "manifest.json"])
def test_a_truncated_file_is_a_bad_checkpoint(tmp_path: Path, name: str) -> None:
    directory = published(tmp_path)
    whole = (directory / name).read_bytes()
    (directory / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadCheckpoint):
        ServingModel.load(directory)


@pytest.mark.parametrize("name", ["weights.safetensors", "model.json", "manifest.json"])
def test_a_missing_file_is_a_bad_checkpoint(tmp_path: Path, name: str) -> None:
    directory = published(tmp_path)
    (directory / name).unlink()
    with pytest.raises(BadCheckpoint):
        ServingModel.load(directory)


def test_a_model_of_other_features_is_a_bad_checkpoint(tmp_path: Path) -> None:
    directory = published(tmp_path)
    text = (directory / "model.json").read_text()
    (directory / "model.json").write_text(text.replace('"user_known"', '"user_unknown"'))
    with pytest.raises(BadCheckpoint, match="trained by other code"):
        ServingModel.load(directory)


def test_weights_that_are_not_finite_are_a_bad_checkpoint(tmp_path: Path) -> None:
    loaded = checkpoint.load(published(tmp_path))
    with torch.no_grad():
        loaded.model.log_scale.fill_(float("nan"))
    broken = tmp_path / "broken"
    broken.mkdir()
    checkpoint.save(broken, loaded)
    with pytest.raises(BadCheckpoint, match="not finite"):
        checkpoint.load(broken)


def test_numpy_ranking_equals_the_torch_heads(tmp_path: Path) -> None:
    directory = published(tmp_path)
    serving, loaded = ServingModel.load(directory), checkpoint.load(directory)
    candidates = [ItemId(f"i{place}") for place in range(12)]
    scores = serving.rank(HISTORY, USER, candidates, item_row, NOW_MS)
    features = head_features(
        HISTORY,
        USER,
        Candidates(candidates, loaded.facts, [item_row(item_id) for item_id in candidates]),
        NOW_MS,
    )
    user = torch.from_numpy(serving.user_vector(HISTORY, NOW_MS)).expand(12, -1)
    items = torch.from_numpy(loaded.item_matrix)
    with torch.no_grad():
        match = loaded.model.pair_logits(user, items, torch.arange(1, 13))
        expected = ranking_score(loaded.model.heads(user, items, match, torch.from_numpy(features)))
    assert np.allclose(scores, expected.numpy(), atol=1e-5)


def test_the_surest_items_are_told_apart_too_and_the_score_grows_with_the_expected_value() -> None:
    logits = torch.tensor([-30.0, -3.0, 0.0, 3.0, 12.0, 18.0, 19.0, 25.0, 40.0])
    scores = ranking_score(logits.unsqueeze(1).expand(-1, 3))
    assert (scores.diff() > 0.5).all()
    mixed = torch.tensor([[2.0, -1.0, -1.0], [0.0, 0.0, 0.0], [-1.0, -1.0, 1.5]])
    expected = torch.sigmoid(mixed) @ torch.tensor([1.0, 1.0, 2.0])
    assert torch.equal(ranking_score(mixed).argsort(), expected.argsort())


def test_serving_mixes_live_co_visits_as_the_evaluation_does(tmp_path: Path) -> None:
    directory = published(tmp_path)
    plain, loaded = ServingModel.load(directory), checkpoint.load(directory)
    loaded.model.neighbour_share.fill_(0.5)
    mixed = ServingModel(plain.version, loaded)
    candidates = [ItemId(f"i{place}") for place in range(12)]
    rows = [item_row(item_id) for item_id in candidates]
    evaluated = Snapshot.of(loaded.model, shop.table(shop.contents())).ranker(
        Candidates(candidates, loaded.facts, rows), NOW_MS
    )
    scores = mixed.rank(HISTORY, USER, candidates, item_row, NOW_MS)
    user = mixed.user_vector(HISTORY, NOW_MS)
    assert np.allclose(scores, evaluated.scores(user, HISTORY, USER), atol=1e-5)
    gained = scores - plain.rank(HISTORY, USER, candidates, item_row, NOW_MS)
    assert {candidates[place] for place in np.argsort(-gained)[:2]} == {ItemId("i1"), ItemId("i7")}


def test_a_user_and_items_without_feature_rows_are_ranked(tmp_path: Path) -> None:
    serving = ServingModel.load(published(tmp_path))
    scores = serving.rank(EMPTY_HISTORY, None, [ItemId("i1"), ItemId("never seen")], lambda item_id: None, NOW_MS)
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()


def test_an_item_without_a_vector_is_as_popular_as_one_that_nobody_has_touched(tmp_path: Path) -> None:
    path = published(tmp_path)
    ranked = []
    for shared in (0.0, -5.0):
        loaded = checkpoint.load(path)
        with torch.no_grad():
            loaded.model.bias.weight[0] = shared
        serving = ServingModel(ServingModel.load(path).version, loaded)
        ranked.append(
            serving.rank(EMPTY_HISTORY, None, [ItemId("i1"), ItemId("never seen")], lambda item_id: None, NOW_MS)
        )
    assert ranked[0][0] == pytest.approx(ranked[1][0])
    assert ranked[1][1] < ranked[0][1]


def test_a_damaged_table_of_id_rows_is_a_bad_checkpoint(tmp_path: Path) -> None:
    path = published(tmp_path) / checkpoint.DESCRIPTION
    whole = json.loads(path.read_text())
    for damage in ({"rows": [1.0] * 12}, {"rows_in_all": 10**12}, {"ids": ["a stranger", *whole["ids"]["ids"][1:]]}):
        path.write_text(json.dumps(whole | {"ids": whole["ids"] | damage}))
        with pytest.raises(BadCheckpoint):
            checkpoint.load(path.parent)


def test_no_candidates_give_no_scores(tmp_path: Path) -> None:
    assert ServingModel.load(published(tmp_path)).rank(HISTORY, USER, [], item_row, NOW_MS).shape == (0,)


def test_user_vectors_are_of_unit_length_and_follow_the_history(tmp_path: Path) -> None:
    serving = ServingModel.load(published(tmp_path))
    empty, known = serving.user_vector(EMPTY_HISTORY, NOW_MS), serving.user_vector(HISTORY, NOW_MS)
    assert np.linalg.norm(empty) == pytest.approx(1.0, abs=1e-5)
    assert np.linalg.norm(known) == pytest.approx(1.0, abs=1e-5)
    assert not np.allclose(empty, known)


def test_items_that_the_version_does_not_know_are_left_out_of_a_history(tmp_path: Path) -> None:
    serving = ServingModel.load(published(tmp_path))
    longer = History(
        (ItemId("gone"), *HISTORY.items), (EventKind.VIEW, *HISTORY.kinds), (shop.START_MS - 1, *HISTORY.times_ms)
    )
    assert np.allclose(serving.user_vector(longer, NOW_MS), serving.user_vector(HISTORY, NOW_MS), atol=1e-6)


def test_new_items_get_vectors_and_known_items_keep_theirs(tmp_path: Path) -> None:
    serving = ServingModel.load(published(tmp_path))
    new = shop.contents(13)[12]
    with_new = serving.with_items({new.item.item_id: new, ItemId("i1"): shop.contents()[1]})
    assert len(with_new.item_ids) == 13
    assert np.linalg.norm(with_new.item_vectors()[ItemId("i12")]) == pytest.approx(1.0, abs=1e-5)
    assert np.array_equal(with_new.item_vectors()[ItemId("i1")], serving.item_vectors()[ItemId("i1")])
    assert len(serving.item_ids) == 12


def test_no_new_items_give_the_same_model(tmp_path: Path) -> None:
    serving = ServingModel.load(published(tmp_path))
    assert serving.with_items({ItemId("i1"): ItemContent(shop.contents()[1].item, None, None)}) is serving


def test_similar_is_the_cosine_of_item_vectors(tmp_path: Path) -> None:
    serving = ServingModel.load(published(tmp_path))
    vectors = serving.item_vectors()
    cosines = serving.similar(ItemId("i1"), [ItemId("i1"), ItemId("i2"), ItemId("never seen")])
    assert cosines[0] == pytest.approx(1.0, abs=1e-5)
    assert cosines[1] == pytest.approx(float(vectors[ItemId("i1")] @ vectors[ItemId("i2")]), abs=1e-5)
    assert cosines[2] == 0.0


def test_features_are_in_the_order_of_their_names() -> None:
    block = head_features(HISTORY, USER, Candidates(["i4"], [ItemFacts("category 1", "", 99)], [ROW]), NOW_MS)
    named = dict(zip(HEAD_FEATURES, block[0].tolist(), strict=True))
    assert len(named) == block.shape[1]
    assert named["user_event_count"] == pytest.approx(np.log1p(2))
    assert named["item_purchases_7d"] == pytest.approx(np.log1p(3))
    assert named["item_price"] == pytest.approx(np.log1p(99))
    assert named["item_idle_hours"] == pytest.approx(np.log1p(1))
    assert named["category_affinity"] == pytest.approx(2.0 / 2.0)
    assert named["seen_before"] == 1.0
    assert named["bought_before"] == 1.0
    assert named["seen_hours_ago"] == pytest.approx(np.log1p(59 / 60))


def test_co_visits_weigh_newer_history_more() -> None:
    row = dataclasses.replace(ROW, co_visit_items=("i1", "i4"), co_visit_weights=(1.0, 2.0))
    block = head_features(HISTORY, None, Candidates(["i7"], [ItemFacts()], [row]), NOW_MS)
    assert block[0, HEAD_FEATURES.index("co_visits")] == pytest.approx(np.log1p(1.0 * 0.9**1 + 2.0 * 0.9**0))


def test_onnx_serves_what_torch_serves_also_for_new_items_and_an_empty_history(tmp_path: Path) -> None:
    directory = published(tmp_path)
    by_torch, by_onnx = ServingModel.load(directory), ServingModel.load(directory, onnx_encoder)
    item = shop.contents()[0].item.model_copy(update={"item_id": ItemId("new")})
    new = {ItemId("new"): dataclasses.replace(shop.contents()[0], item=item)}
    longer = History((*HISTORY.items, ItemId("new")), (*HISTORY.kinds, EventKind.CLICK), (*HISTORY.times_ms, NOW_MS))
    for history in (EMPTY_HISTORY, HISTORY, longer):
        for one, other in ((by_torch, by_onnx), (by_torch.with_items(new), by_onnx.with_items(new))):
            vectors = one.user_vector(history, NOW_MS), other.user_vector(history, NOW_MS)
            assert np.allclose(*vectors, atol=1e-5)
            scores = [each.rank(history, USER, each.item_ids, item_row, NOW_MS) for each in (one, other)]
            assert np.allclose(*scores, atol=1e-3)
    assert not np.allclose(by_onnx.user_vector(HISTORY, NOW_MS), by_onnx.user_vector(EMPTY_HISTORY, NOW_MS), atol=0.01)


def test_an_engine_that_cannot_run_the_model_is_a_model_error(tmp_path: Path) -> None:
    def broken(model: FusionTransformer) -> UserEncoder:
        raise ModelError("found an engine that is broken")

    with pytest.raises(ModelError, match="broken"):
        ServingModel.load(published(tmp_path), broken)
