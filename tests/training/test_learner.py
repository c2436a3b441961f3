import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from contracts.events import EventKind
from contracts.examples import TrainingExample
from contracts.ids import EventId, ItemId
from tests.builders import shop
from training.incremental.encoding import encode_examples
from training.incremental.learner import GONE_KEPT, Learner, _as_if_all
from training.model.checkpoint import Checkpoint
from training.model.content import ContentTable
from training.model.features import ItemFacts
from training.model.id_table import SHARED_ROW
from training.snapshot import Snapshot


def learner() -> Learner:
    torch.manual_seed(0)
    table = shop.table(shop.contents())
    model = shop.model(table)
    base = Checkpoint(
        model, table.vocabulary, (ItemFacts(),) * 12, Snapshot.of(model, table).vectors.numpy(), table.ids
    )
    return Learner(base, ContentTableOf(base).table, seed=0)


class ContentTableOf:
    """The table of a base's vocabulary, described."""

    def __init__(self, base: Checkpoint) -> None:
        self.table = ContentTable(base.model.config.content, base.vocabulary, base.ids)
        self.table.put(shop.contents())


def row_of(under_test: Learner, item_id: ItemId) -> int:
    index = under_test.table.vocabulary.index(item_id)
    assert index is not None
    row = int(under_test.table.id_rows()[index])
    assert row == under_test.table.ids.row(item_id)
    return row


def clicks(start: int, count: int) -> list[TrainingExample]:
    """Of items 3 to 11 in turn, so that a round may learn each."""
    return [shop.example(number, f"i{3 + number % 9}", ("i1", "i2")) for number in range(start, start + count)]


def test_a_batch_is_tested_before_it_is_learned() -> None:
    under_test = learner()
    untouched = copy.deepcopy(under_test)
    before = untouched._test(encode_examples(clicks(0, 16), untouched.table.vocabulary))
    metrics = under_test.observe(clicks(0, 16))
    assert metrics == before
    assert metrics.positives == 16
    after = under_test._test(encode_examples(clicks(0, 16), under_test.table.vocabulary), fresh=True)
    assert after.softmax_loss < metrics.softmax_loss


def test_what_is_repeated_is_learned() -> None:
    under_test = learner()
    losses = []
    for start in range(0, 480, 16):
        losses.append(under_test.observe(clicks(start, 16)).softmax_loss)
        under_test.checkpoint()
        under_test.start_round()
    assert losses[-1] < losses[0] - 0.5


def test_examples_of_unknown_items_are_left_out_and_do_not_stop_the_rest() -> None:
    metrics = learner().observe([shop.example(0, "nowhere"), shop.example(1, "i1")])
    assert (metrics.examples, metrics.positives) == (1, 1)


def test_a_cancellation_teaches_neither_that_the_item_is_liked_nor_that_it_is_not() -> None:
    cancelled = shop.example(9, "i2", ("i1",), EventKind.PURCHASE).model_copy(update={"quantity": -1})
    not_told = learner()
    assert not_told.observe(clicks(0, 8)).examples == 8
    told = learner()
    assert told.observe([*clicks(0, 8), cancelled]).examples == 8
    for one, other in zip(told.model.parameters(), not_told.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_an_item_touched_again_is_no_target_of_the_towers() -> None:
    metrics = learner().observe([shop.example(0, "i1", ("i2", "i1")), shop.example(1, "i3", ("i2", "i1"))])
    assert (metrics.examples, metrics.positives) == (2, 1)


def test_drawn_negatives_give_the_loss_of_all_items_in_expectation() -> None:
    rng, targets = np.random.default_rng(0), torch.tensor([0, 7])
    every = torch.from_numpy(rng.normal(size=(2, 2000))).float()
    totals = []
    for _ in range(400):
        columns = np.unique(np.concatenate([targets.numpy(), drawn := rng.choice(2000, 200, replace=False)]))
        stands_for = torch.where(torch.from_numpy(np.isin(columns, drawn)), math.log(2000 / 200), -math.inf)
        own = torch.from_numpy(np.searchsorted(columns, targets.numpy()))
        totals.append(_as_if_all(every[:, columns], own, stands_for).exp().sum(1))
    assert torch.stack(totals).mean(0) == pytest.approx(every.exp().sum(1).numpy(), rel=0.01)


def test_an_item_that_nobody_has_touched_learns_nothing_from_the_clicks_of_others() -> None:
    under_test = learner()
    under_test.describe([shop.contents(13)[12]])
    drawn, known = under_test._drawn()
    assert drawn.tolist() == list(range(12))
    assert known == 12


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


def test_more_new_items_than_id_rows_are_served_by_their_content() -> None:
    under_test = learner()
    under_test.describe(shop.contents(40)[12:])
    assert under_test.observe([shop.example(0, "i39", ("i38",))]).examples == 1
    assert under_test.checkpoint().item_matrix.shape == (40, 16)


def test_a_new_item_earns_an_id_row_when_it_is_wanted_again_and_its_vector_does_not_jump() -> None:
    under_test, new = learner(), ItemId("i12")
    described = under_test.describe([shop.contents(13)[12]])[new]
    under_test.observe([shop.example(0, "i12")])
    assert row_of(under_test, new) == SHARED_ROW
    for group in under_test._optimizer.param_groups:
        group["lr"] = 0.0
    under_test.observe([shop.example(1, "i12")])
    assert row_of(under_test, new) > len(shop.contents())
    assert under_test.checkpoint().item_matrix[12] @ described > 0.95


def test_a_row_that_changes_hands_begins_without_the_weights_and_moments_of_the_item_before() -> None:
    under_test = learner()
    for start in range(0, 160, 16):
        under_test.observe(clicks(start, 16))
    left = [content.item.item_id for content in shop.contents() if content.item.item_id not in ("i1", "i2", "i5")]
    under_test.retire(left)
    new = shop.contents(20)[12:]
    under_test.describe(new)
    ids, optimizer = under_test.model.item_tower.ids.weight, under_test._optimizer
    before = ids.detach().clone()
    under_test._learn = lambda batch: None  # type: ignore[method-assign]  # what stands there before the step
    under_test.observe([shop.example(200 + number, f"i{12 + number % 8}") for number in range(16)])
    rows = [row_of(under_test, content.item.item_id) for content in new]
    assert SHARED_ROW not in rows
    taken = [row for row in rows if row <= len(shop.contents())]
    assert len(taken) == len(new) - 4  # four were to spare
    assert before[taken].norm(dim=1).min() > 0
    assert not ids[rows].any()
    for parameter in (ids, under_test.model.bias.weight):
        for moment in ("exp_avg", "exp_avg_sq"):
            assert not optimizer.state[parameter][moment][rows].any()
    assert row_of(under_test, ItemId("i5")) != SHARED_ROW  # seen lately


def test_a_refused_round_takes_back_the_id_rows_that_it_gave() -> None:
    under_test, new = learner(), ItemId("i12")
    under_test.describe([shop.contents(13)[12]])
    under_test.observe([shop.example(0, "i12"), shop.example(1, "i12")])
    assert row_of(under_test, new) != SHARED_ROW
    under_test.roll_back()
    assert row_of(under_test, new) == SHARED_ROW
    under_test.observe([shop.example(2, "i12"), shop.example(3, "i12")])
    assert row_of(under_test, new) != SHARED_ROW


def test_items_that_come_and_go_for_ever_need_no_more_memory_than_the_catalogue() -> None:
    under_test, live = learner(), [content.item.item_id for content in shop.contents()]
    template = shop.contents(1)[0]
    for generation in range(120):
        new = [
            replace(template, item=template.item.model_copy(update={"item_id": ItemId(f"g{generation}-{number}")}))
            for number in range(20)
        ]
        under_test.describe(new)
        names = [content.item.item_id for content in new]
        under_test.observe([shop.example(generation, name, (live[0],)) for name in names[:4] * 2])
        under_test.start_round()
        under_test.retire(live)
        live = names
    assert len(under_test.table.vocabulary) <= 2 * GONE_KEPT + 20
    assert len(under_test.table.ids) <= under_test.table.ids.rows_in_all == 16
    assert all(row_of(under_test, name) != SHARED_ROW for name in live[:4])
    saved = under_test.checkpoint()
    assert len(saved.vocabulary) == len(saved.item_matrix) == len(under_test.table.vocabulary)


def test_positives_of_forgotten_items_are_no_reason_to_refuse_a_round() -> None:
    under_test = learner()
    under_test.observe(clicks(0, 8))
    assert under_test.probe() is not None
    under_test.table = under_test.table.without(frozenset(ItemId(f"i{place}") for place in range(3, 12)))
    assert under_test.probe() is None


def test_remembered_repeats_alone_are_no_reason_to_refuse_a_round() -> None:
    under_test = learner()
    under_test.remember([shop.example(0, "i1", ("i1",))])
    assert under_test.probe() is None


def test_a_cancelled_purchase_earns_no_id_row() -> None:
    under_test = learner()
    under_test.describe([shop.contents(13)[12]])
    cancelled = [shop.example(number, "i12").model_copy(update={"quantity": -1}) for number in range(4)]
    under_test.observe(cancelled)
    assert row_of(under_test, ItemId("i12")) == SHARED_ROW


def test_an_item_that_left_is_still_read_in_histories_and_may_come_back() -> None:
    under_test = learner()
    under_test.retire([ItemId("i1")])
    with_it, without = under_test.observe([shop.example(0, "i5", ("i1",))]), under_test.observe([shop.example(0, "i5")])
    assert with_it.softmax_loss != without.softmax_loss
    assert under_test.table.ids.retired() == ["i1"]
    under_test.describe([shop.contents()[1]])
    assert under_test.table.ids.retired() == []


def test_a_checkpoint_is_independent_of_later_learning() -> None:
    under_test = learner()
    taken = under_test.checkpoint()
    before = copy.deepcopy(taken.model.state_dict())
    under_test.observe(clicks(0, 16))
    for name, tensor in taken.model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_fixed_probe_and_what_is_learned_for_ever_are_kept_apart_and_outlast_all_new_traffic() -> None:
    torch.manual_seed(0)
    table = shop.table(shop.contents())
    model = shop.model(table)
    base = Checkpoint(
        model, table.vocabulary, (ItemFacts(),) * 12, Snapshot.of(model, table).vectors.numpy(), table.ids
    )
    kept = clicks(-40, 40)
    under_test = Learner(base, ContentTableOf(base).table, seed=0, kept=kept)
    at_first = under_test.probe()
    assert at_first == under_test.probe()
    for start in range(0, 64, 16):
        under_test.observe(clicks(start, 16))
        under_test.start_round()
    names = {example.example_id for example in under_test._old(200)}
    probed = {example.example_id for example in kept[::4]}
    assert {example.example_id for example in kept} - probed <= names
    assert not probed & names
    assert under_test.probe() != at_first
