import threading
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from contracts.errors import ModelError, NotEnoughData, StackError
from contracts.features import HISTORY_LENGTH
from contracts.ports import Vectors
from services.ranking.user_encoders import Auto, user_encoder
from tests.builders import shop
from training.compression.distillation import Distillation, DistillStep, distilled, divergence
from training.compression.int8 import LEVELS, Int8Items, int8_user_tower
from training.compression.onnx_encoder import TOLERANCE, OnnxUserEncoder, checked, largest_error, onnx_encoder
from training.compression.onnx_export import user_tower_file, user_tower_graph
from training.compression.pruning import Kept, fine_tune, pruned
from training.compression.table import Latency, Quality, Row, default_of, encoded, latencies, quality, scorer
from training.compression.variants import REFERENCE, TRAINED, Form, Source, variant_of, weights_of
from training.data.archive_set import TrainingSet
from training.data.collate import collate
from training.evaluation.protocol import leave_one_out
from training.head_training import encode_users
from training.loop import LoopConfig, Worker, train_towers
from training.model.blocks import BlockKind
from training.model.fusion import FusionConfig, FusionTransformer
from training.model.user_encoder import Integers, TorchUserEncoder, UserEncoder
from training.snapshot import Snapshot
from training.tower_fit import model_scorer
from training.tower_step import TowerStep

WIDTH = 16
INT8_COSINE = 0.99
"""Least cosine of a user vector of the int8 tower with the float one; over 0.999 on trained towers of width 64."""


def quiet(what: str, share: float) -> None:
    assert 0.0 <= share <= 1.0


def random_model(seed: int = 0, block: BlockKind = BlockKind.PRE_NORM, layers: int = 2) -> FusionTransformer:
    """A model whose user tower is far from the identity that it starts as."""
    torch.manual_seed(seed)
    table = shop.table(shop.contents())
    model = FusionTransformer(FusionConfig(table.shape, WIDTH, layers, attention_heads=4, block=block)).eval()
    for weight in model.user_tower.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return model


def histories(users: int, length: int, seed: int = 0) -> tuple[Vectors, Integers, Integers]:
    rng = np.random.default_rng(seed)
    items = rng.normal(size=(users, length, WIDTH)).astype(np.float32)
    return items, rng.integers(0, 5, (users, length)), rng.integers(0, 26, (users, length))


def trained(training_set: TrainingSet, seed: int = 0) -> FusionTransformer:
    torch.manual_seed(seed)
    model = FusionTransformer(FusionConfig(training_set.table.shape, WIDTH, 2, 4, 0.0, modality_dropout=0.0))
    loop = LoopConfig(8, batch=4, learning_rate=1e-2)
    train_towers(TowerStep(model, training_set.table), training_set.users, loop, Worker(), quiet)
    return model.eval()


@pytest.mark.parametrize("block", list(BlockKind))
@pytest.mark.parametrize("users", [1, 3])
@pytest.mark.parametrize("length", [0, 1, 7, HISTORY_LENGTH])
def test_onnx_gives_the_vectors_of_torch(block: BlockKind, users: int, length: int) -> None:
    model = random_model(block=block)
    lengths = np.linspace(length, 0, users).astype(np.int64)
    asked = (*histories(users, length), lengths)
    expected = TorchUserEncoder(model).encode(*asked)
    assert np.allclose(onnx_encoder(model).encode(*asked), expected, atol=TOLERANCE)
    assert np.allclose(OnnxUserEncoder.of_file(user_tower_file(model)).encode(*asked), expected, atol=TOLERANCE)
    assert np.allclose(np.linalg.norm(expected, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("encoder_of", [TorchUserEncoder, onnx_encoder])
def test_padding_changes_no_vector(encoder_of: type[UserEncoder]) -> None:
    encoder = encoder_of(random_model())
    items, kinds, gaps = histories(1, 9)
    alone = encoder.encode(items[:, :4], kinds[:, :4], gaps[:, :4], np.array([4]))
    padded = encoder.encode(np.where(np.arange(9)[None, :, None] < 4, items, 1e3), kinds, gaps, np.array([4]))
    assert np.allclose(alone, padded, atol=TOLERANCE)
    longer = encoder.encode(items, kinds, gaps, np.array([9]))
    assert not np.allclose(alone, longer, atol=0.01)


def test_a_new_version_takes_the_graph_of_the_one_before_and_its_own_weights() -> None:
    first, second = random_model(0), random_model(1)
    assert user_tower_graph(first) is user_tower_graph(second)
    kept = onnx_encoder(first)
    assert largest_error(onnx_encoder(second), second) <= TOLERANCE
    assert largest_error(kept, first) <= TOLERANCE
    assert largest_error(kept, second) > 0.1
    assert user_tower_graph(random_model(layers=1)) is not user_tower_graph(first)


def test_weights_that_are_equal_stay_apart_in_the_graph() -> None:
    table = shop.table(shop.contents())
    untrained = shop.model(table)  # two maps are the identity and two numbers are one
    assert largest_error(onnx_encoder(untrained), untrained) <= TOLERANCE
    graph = onnx.load_model_from_string(user_tower_file(untrained)).graph
    assert len(graph.initializer) == len(untrained.user_tower.state_dict())


def test_an_encoder_of_other_weights_is_refused() -> None:
    with pytest.raises(ModelError, match="serving_encoder=torch"):
        checked(onnx_encoder(random_model(0)), random_model(1))


def test_many_threads_get_the_vectors_of_one() -> None:
    encoder = onnx_encoder(random_model())
    asked = (*histories(2, 12), np.array([12, 5]))
    expected, found = encoder.encode(*asked), []
    threads = [
        threading.Thread(target=lambda: found.extend(encoder.encode(*asked) for _ in range(20))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    assert all(np.array_equal(users, expected) for users in found)


def test_auto_falls_back_to_torch_and_does_not_try_again() -> None:
    tried = []

    def broken(model: FusionTransformer) -> UserEncoder:
        tried.append(model)
        raise ImportError("no onnxruntime here")

    auto, model = Auto(broken), random_model()
    assert isinstance(auto(model), TorchUserEncoder)
    assert isinstance(auto(model), TorchUserEncoder)
    assert len(tried) == 1
    assert isinstance(user_encoder("auto")(model), OnnxUserEncoder)
    assert isinstance(user_encoder("torch")(model), TorchUserEncoder)


def test_an_unknown_engine_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(StackError, match=r"serving_encoder='tensorrt'.*auto, onnx, torch"):
        user_encoder("tensorrt")


def test_a_pruned_tower_is_smaller_and_ranks_on() -> None:
    training_set = shop.shop()
    split = leave_one_out(training_set)
    model = trained(split.training)
    small = pruned(model, Kept(heads=0.5, neurons=0.25))
    block, narrow = model.user_tower.blocks[0], small.user_tower.blocks[0]
    assert (narrow.heads, narrow.head_width) == (2, block.head_width)
    assert narrow.qkv.weight.shape == (3 * WIDTH // 2, WIDTH)
    assert narrow.feed_forward[0].weight.shape == (WIDTH, WIDTH)  # a quarter of 4 * WIDTH
    assert len(user_tower_file(small)) < len(user_tower_file(model)) - 4 * 2 * (2 * WIDTH * WIDTH + 6 * WIDTH * WIDTH)
    assert largest_error(onnx_encoder(small), small) <= TOLERANCE
    assert block.heads == 4
    table = split.training.table
    before = {name: weight.clone() for name, weight in small.item_tower.state_dict().items()}
    fine_tune(small, split.training, LoopConfig(1, batch=4, learning_rate=3e-3), Worker(), quiet)
    assert all(torch.equal(weight, before[name]) for name, weight in small.item_tower.state_dict().items())
    assert all(weight.requires_grad for weight in small.parameters())
    ranked = quality(variant_of(Form("pruned and tuned", "onnx"), small, table), split.test, False)
    by_chance = sum(1 / np.log2(place + 2) for place in range(10)) / 12  # one target at any of 12 places
    assert ranked.ndcg_10.mean() > 1.2 * by_chance


def test_pruning_nothing_changes_nothing_and_the_largest_neurons_stay() -> None:
    model = random_model()
    whole = pruned(model, Kept(1.0, 1.0))
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, whole.state_dict()[name])
    with torch.no_grad():
        for block in model.user_tower.blocks:
            block.feed_forward[0].weight[8:] *= 1e-6  # 8 of 64 neurons say something
            block.feed_forward[0].bias[8:] = 0.0
            block.out.weight[:, WIDTH // 4 :] = 0.0  # one of 4 heads does
    assert largest_error(onnx_encoder(pruned(model, Kept(0.25, 8 / 64))), model) <= TOLERANCE


@pytest.mark.parametrize(
    ("block", "kept", "said"),
    [(BlockKind.HSTU, Kept(), "HstuBlock"), (BlockKind.PRE_NORM, Kept(heads=0.0), "heads=0.0")],
)
def test_what_cannot_be_pruned_is_refused(block: BlockKind, kept: Kept, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        pruned(random_model(block=block), kept)


def test_a_divergence_is_the_kl_of_the_softmaxes() -> None:
    teacher, student = torch.log(torch.tensor([[0.5, 0.5]])), torch.log(torch.tensor([[0.9, 0.1]]))
    expected = 0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1)
    assert float(divergence(teacher, student, 1.0)) == pytest.approx(expected, rel=1e-5)
    assert float(divergence(teacher, teacher, 2.0)) == pytest.approx(0.0, abs=1e-6)


def test_a_student_is_nearer_to_its_teacher_than_a_model_of_its_size_without_one() -> None:
    training_set = shop.shop()
    teacher = Snapshot.of(trained(training_set), training_set.table)
    config = FusionConfig(training_set.table.shape, 8, 1, 2, 0.0, modality_dropout=0.0)
    loop = LoopConfig(6, batch=4, learning_rate=1e-2)
    batch = collate(training_set.users[:20], 1, np.random.default_rng(0))

    def apart(share: float, epochs: int) -> float:
        given = Distillation(share)
        student = distilled(teacher, training_set, config, replace(loop, epochs=epochs), Worker(), quiet, given)
        torch.manual_seed(0)
        return DistillStep(student, teacher, training_set, given).divergence(batch)

    alone, taught, untaught = apart(0.0, 6), apart(0.9, 6), apart(0.9, 0)
    assert taught < 0.7 * alone
    assert taught < 0.7 * untaught


def test_the_int8_tower_is_smaller_and_points_the_same_way() -> None:
    model = trained(shop.shop())
    file = user_tower_file(model)
    small = int8_user_tower(file)
    stored = onnx.load_model_from_string(small).graph.initializer
    assert sum(part.data_type == onnx.TensorProto.INT8 for part in stored) >= 2 * 4  # blocks times matrices
    assert len(small) < len(file)
    asked = (*histories(5, 20), np.array([20, 11, 5, 1, 0]))
    exact, near = TorchUserEncoder(model).encode(*asked), OnnxUserEncoder.of_file(small).encode(*asked)
    cosines = (exact * near).sum(axis=1)
    assert cosines.min() > INT8_COSINE
    assert cosines.min() < 1.0 - 1e-7  # it is another arithmetic


def test_int8_items_are_within_half_a_step() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)
    vectors[7] = 0.0
    codes = Int8Items.of(vectors)
    step = np.abs(vectors).max(axis=1, keepdims=True) / LEVELS
    assert (np.abs(codes.vectors() - vectors) <= step / 2 + 1e-6).all()
    assert codes.nbytes == 50 * 16 * 1 + 50 * 4


def test_a_variant_ranks_as_the_evaluation_of_its_model_does() -> None:
    split = leave_one_out(shop.shop())
    model, table = random_model(), split.training.table
    variant = variant_of(Form(TRAINED, "onnx"), model, table)
    users = split.test[:6]
    assert np.allclose(scorer(variant)(users), model_scorer(model, table)(users), atol=1e-3)
    moments = [type("Asked", (), {"user": user.history, "at_ms": user.at_ms})() for user in users]
    assert np.allclose(
        encoded(variant, users), encode_users(model, torch.from_numpy(variant.items), moments), atol=1e-5
    )


def test_unknown_weights_and_engines_are_errors_that_name_the_known_ones() -> None:
    split = leave_one_out(shop.shop())
    model = random_model()
    source = Source(model, split, LoopConfig(1), Worker(), model.config)
    with pytest.raises(ModelError, match=r"weights 'halved'.*pruned and tuned"):
        weights_of("halved", source, quiet)
    with pytest.raises(ModelError, match=r"engine 'tensorrt'.*onnx int8"):
        variant_of(Form(TRAINED, "tensorrt"), model, split.training.table)


def test_the_default_keeps_the_quality_and_is_cheapest_by_version() -> None:
    table = shop.shop().table
    variant = variant_of(REFERENCE, random_model(), table)

    def row(form: Form, ndcg: float, p50_ms: float, made_s: float) -> Row:
        values = np.full(4, ndcg)
        return Row(form, variant, Quality(values, values), Latency(p50_ms, p50_ms, np.ones(3)), made_s)

    rows = [
        row(REFERENCE, 0.100, 1.0, 0.0),  # 60 ms a version
        row(Form(TRAINED, "exact"), 0.100, 0.5, 0.020),  # 50
        row(Form(TRAINED, "dear"), 0.100, 0.1, 0.100),  # 106
        row(Form(TRAINED, "worse"), 0.098, 0.1, 0.0),  # 6, and 2 % of the quality
        row(Form("student", "exact"), 0.120, 0.1, 0.0),  # 6, and a training
    ]
    assert default_of(rows).form.engine == "exact"
    assert default_of(rows[:1]).form == REFERENCE


def test_latencies_are_ratios_to_torch_in_the_same_round() -> None:
    table = shop.shop().table
    variants = {form: variant_of(form, random_model(), table) for form in (REFERENCE, Form(TRAINED, "onnx"))}
    timed = latencies(variants, rounds=3, calls=4)
    assert np.array_equal(timed[REFERENCE].ratios, np.ones(3))
    assert timed[Form(TRAINED, "onnx")].ratios.shape == (3,)
    with pytest.raises(NotEnoughData, match="trained, torch"):
        latencies({Form(TRAINED, "onnx"): variants[REFERENCE]})
