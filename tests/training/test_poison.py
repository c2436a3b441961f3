"""The learner with its caps and its gate before bots, and before an honest change that lasts."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from contracts.examples import TrainingExample
from contracts.ids import ItemId, UserId
from tests.builders import shop
from training.incremental.encoding import encode_examples
from training.incremental.gate import RoundGates, Verdict
from training.incremental.learner import Learner
from training.model.checkpoint import Checkpoint
from training.model.content import ContentTable
from training.model.features import ItemFacts
from training.snapshot import Snapshot

ITEMS, CATEGORIES = 60, 6


@dataclass
class Street:
    """A learner on a line whose batch version has learned that a user's next item is of the category of the last."""

    learner: Learner
    gates: RoundGates
    rng: np.random.Generator
    number: int = 0

    def traffic(self, count: int, jump: int = 0) -> list[TrainingExample]:
        """Clicks on an item of the category that lies `jump` after the history's."""
        made = []
        for _ in range(count):
            category = int(self.rng.integers(CATEGORIES))
            history = self.rng.choice(np.arange(category, ITEMS, CATEGORIES), 4, replace=False)
            wanted = np.arange((category + jump) % CATEGORIES, ITEMS, CATEGORIES)
            item = self.rng.choice(np.setdiff1d(wanted, history))
            made.append(self.example(f"u{self.number}", int(item), history.tolist()))
        return made

    def example(self, user: str, item: int, history: list[int]) -> TrainingExample:
        self.number += 1
        made = shop.example(self.number, f"i{item}", tuple(f"i{each}" for each in history))
        return made.model_copy(update={"user_id": UserId(user)})

    def round(self, examples: list[TrainingExample]) -> Verdict:
        self.learner.observe(examples)
        items = len(self.learner.table.vocabulary)
        verdict = self.gates.judge(self.learner.finite(), self.learner.round.loss(), self.learner.probe(), items)
        if verdict is Verdict.PUBLISH:
            self.learner.start_round()
        else:
            self.learner.roll_back()
        return verdict

    def loss(self, examples: list[TrainingExample]) -> float:
        batch = encode_examples(examples, self.learner.table.vocabulary)
        return self.learner._test(batch, fresh=True).softmax_loss


def _learner(base: Checkpoint, kept: list[TrainingExample]) -> Learner:
    table = ContentTable(base.model.config.content, base.vocabulary, base.ids)
    table.put(shop.contents(ITEMS, CATEGORIES))
    return Learner(base, table, 0, kept)


@pytest.fixture(scope="module")
def made() -> Callable[[], Street]:
    torch.set_num_threads(1)  # two on a busy machine wait for each other
    torch.manual_seed(0)
    table = shop.table(shop.contents(ITEMS, CATEGORIES))
    model = shop.model(table, 32)
    vectors = Snapshot.of(model, table).vectors.numpy()
    batch = Checkpoint(model, table.vocabulary, (ItemFacts(),) * ITEMS, vectors, table.ids)
    first = Street(_learner(batch, []), RoundGates(), np.random.default_rng(0))
    for _ in range(80):
        first.learner.observe(first.traffic(32))
        first.learner.start_round()
    kept, trained = first.traffic(512), first.learner.checkpoint()

    def street() -> Street:
        weights = Checkpoint(
            shop.model(table, 32), trained.vocabulary.copy(), trained.facts, trained.item_matrix, trained.ids.copy()
        )
        weights.model.load_state_dict(trained.model.state_dict())
        learner, gates = _learner(weights, kept), RoundGates()
        gates.anchor(learner.probe(), ITEMS)
        return Street(learner, gates, np.random.default_rng(1))

    return street


def test_bots_do_not_bring_their_item_to_the_top(made: Callable[[], Street]) -> None:
    street, target = made(), 13
    for number in range(20):
        bots = [
            street.example(f"bot{number}-{each}", target, list(range(category, ITEMS, CATEGORIES))[:4])
            for each, category in enumerate(street.rng.integers(CATEGORIES, size=32).tolist())
        ]
        assert street.round([*street.traffic(32), *bots]) is Verdict.PUBLISH
    shoppers = encode_examples(street.traffic(200), street.learner.table.vocabulary)
    snapshot = Snapshot.of(street.learner.model, street.learner.table)
    with torch.no_grad():
        users = shoppers.users(street.learner.model, snapshot.vectors)
        logits = street.learner.model.catalogue_logits(users, snapshot.vectors, snapshot.ids)
    index = street.learner.table.vocabulary.index(ItemId(f"i{target}"))
    # A half of the clicks were the bots'.
    assert float(logits.softmax(1)[:, index].mean()) < 0.1


def test_an_honest_change_that_lasts_is_learned_and_the_old_traffic_is_not_forgotten(
    made: Callable[[], Street],
) -> None:
    street = made()
    new, old = street.traffic(200, jump=3), street.traffic(200)
    before, old_before = street.loss(new), street.loss(old)
    verdicts = [street.round(street.traffic(32, jump=3)) for _ in range(80)]
    assert verdicts[-20:].count(Verdict.PUBLISH) >= 10
    assert street.loss(new) < before - 1.0
    assert street.loss(old) < old_before + 1.0 + 0.5


def test_weights_that_forget_the_batch_version_are_refused_however_slowly_they_do(made: Callable[[], Street]) -> None:
    street = made()
    anchor = street.gates.state()
    assert anchor is not None
    verdicts = []
    for _ in range(40):
        street.learner.observe(street.traffic(8))
        with torch.no_grad():  # stands for poison that the caps do not see
            for parameter in street.learner.model.parameters():
                parameter.add_(0.02 * torch.randn(parameter.shape))
        verdict = street.gates.judge(True, street.learner.round.loss(), street.learner.probe(), ITEMS)
        verdicts.append(verdict)
        if verdict is Verdict.PUBLISH:
            probe = street.learner.probe()
            assert probe is not None
            assert probe <= anchor.probe_loss + 1.0
            street.learner.start_round()
        else:
            street.learner.roll_back()
    assert Verdict.FORGOT in verdicts
