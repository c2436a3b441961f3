import copy

import numpy as np
import torch

from contracts.examples import TrainingExample
from contracts.ids import EventId, ItemId
from tests.builders import shop
from training.incremental.learner import Learner
from training.model.checkpoint import Checkpoint
from training.model.content import ContentTable
from training.model.features import ItemFacts
from training.snapshot import Snapshot


def learner() -> Learner:
    torch.manual_seed(0)
    table = shop.table(shop.contents())
    model = shop.model(table)
    base = Checkpoint(model, table.vocabulary, (ItemFacts(),) * 12, Snapshot.of(model, table).vectors.numpy())
    return Learner(base, ContentTableOf(base).table, seed=0)


class ContentTableOf:
    """The table of a base's vocabulary, described."""

    def __init__(self, base: Checkpoint) -> None:
        self.table = ContentTable(base.model.config.content, base.vocabulary)
        self.table.put(shop.contents())


def clicks(start: int, count: int) -> list[TrainingExample]:
    return [shop.example(number, "i5", ("i1", "i2")) for number in range(start, start + count)]


def test_a_batch_is_tested_before_it_is_learned() -> None:
    under_test = learner()
    untouched = copy.deepcopy(under_test)
    metrics = under_test.observe(clicks(0, 16))
    # The figures are those of the weights before the step, and the weights have moved by it.
    assert metrics == untouched.observe(clicks(0, 16))
    assert metrics.positives == 16
    assert not torch.equal(under_test.model.log_scale, torch.tensor(1.6))


def test_what_is_repeated_is_learned() -> None:
    under_test = learner()
    losses = []
    for start in range(0, 480, 16):
        losses.append(under_test.observe(clicks(start, 16)).softmax_loss)
        under_test.checkpoint()
    assert losses[-1] < losses[0] - 0.5


def test_examples_of_unknown_items_are_left_out_and_do_not_stop_the_rest() -> None:
    metrics = learner().observe([shop.example(0, "nowhere"), shop.example(1, "i1")])
    assert (metrics.examples, metrics.positives) == (1, 1)


def test_negatives_alone_are_learned_without_a_softmax_loss() -> None:
    metrics = learner().observe([shop.example(0, "i1", outcome=None)])
    assert metrics.examples == 1
    assert np.isnan(metrics.softmax_loss)
    assert metrics.log_loss > 0


def test_traced_events_are_named_by_the_round() -> None:
    under_test = learner()
    under_test.observe([shop.example(0, "i1", traced=True), shop.example(1, "i2")])
    assert under_test.round.traced == [EventId("evt0")]
    under_test.start_round()
    assert under_test.round.traced == []


def test_a_refused_round_goes_back_to_the_weights_of_its_start() -> None:
    under_test = learner()
    before = copy.deepcopy(under_test.model.state_dict())
    under_test.observe(clicks(0, 16))
    with torch.no_grad():
        under_test.model.log_scale.fill_(float("nan"))
    assert not under_test.finite()
    under_test.roll_back()
    assert under_test.finite()
    for name, tensor in under_test.model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_new_item_has_a_vector_at_once_and_can_be_learned() -> None:
    under_test = learner()
    new = shop.contents(13)[12]
    vectors = under_test.describe([new])
    assert np.linalg.norm(vectors[ItemId("i12")]) > 0.99
    assert under_test.observe([shop.example(0, "i12", ("i1",))]).examples == 1
    assert under_test.checkpoint().item_matrix.shape == (13, 16)


def test_more_new_items_than_spare_id_rows_are_served_by_their_content() -> None:
    under_test = learner()
    under_test.describe(shop.contents(40)[12:])
    assert under_test.observe([shop.example(0, "i39", ("i38",))]).examples == 1
    assert under_test.checkpoint().item_matrix.shape == (40, 16)


def test_a_checkpoint_is_independent_of_later_learning() -> None:
    under_test = learner()
    taken = under_test.checkpoint()
    before = copy.deepcopy(taken.model.state_dict())
    under_test.observe(clicks(0, 16))
    for name, tensor in taken.model.state_dict().items():
        assert torch.equal(tensor, before[name])
