"""The learner's core: test on new examples, then learn from them and from some old ones, in small steps.

It knows no log, store or index. A round is what happens between two publications; `start_round` and `roll_back` bound
it. Items that are seen earn id rows, and those not seen for long give them up (`training/model/id_table.py`): however
many new items come, the learner's memory is that of the catalogue. B examples, T interactions, N items, D width.
"""

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from contracts.examples import TrainingExample
from contracts.ids import ItemId
from contracts.ports import Vectors
from training.incremental.caps import RoundCaps
from training.incremental.encoding import ExampleBatch, encode_examples
from training.incremental.replay import ExampleReservoir, Reservoir
from training.incremental.rounds import Round, StepMetrics
from training.loop import CLIP_NORM
from training.losses import FULL_SOFTMAX_ITEMS, full_softmax, heads_loss
from training.model.checkpoint import Checkpoint
from training.model.content import ContentTable, ItemContent
from training.model.features import HEAD_FEATURES, ItemFacts
from training.model.fusion import FusionTransformer
from training.model.id_table import SHARED_ROW
from training.snapshot import Snapshot

LEARNING_RATE = 1e-3
REPLAYED_PER_NEW = 2
"""Old examples learned again beside each new history."""

RESERVOIR = 20_000
PROBED = 256
SAMPLED_ITEMS = 4096

GONE_KEPT = 1000
"""Items that left the catalogue but are still known, at least: a history may hold them for a while."""


class Learner:
    """State: model, optimizer, content of the items, reservoir, and the round under way.

    Args:
        base: The version that it starts from; its model becomes the learner's own.
        table: Content of the items, of the base's vocabulary (it may have more), with the base's id rows.
        seed: Of the replay's draws.
        kept: Examples that the root of its line has learned, which stay as they are as long as the line lasts: every
            fourth, up to `PROBED`, is the fixed probe, and the others are learned again for ever.
    """

    def __init__(self, base: Checkpoint, table: ContentTable, seed: int, kept: Sequence[TrainingExample] = ()) -> None:
        self.table = table
        self.model: FusionTransformer = base.model
        self.round = Round()
        self.reservoir = ExampleReservoir(RESERVOIR, np.random.default_rng(seed))
        self._probed = tuple(kept[::4][:PROBED])
        held_out = set(map(id, self._probed))
        self._pinned: Reservoir[TrainingExample] = Reservoir(RESERVOIR, np.random.default_rng(seed))
        for example in kept:
            if id(example) not in held_out:
                self._pinned.add(example)
                self.reservoir.add(example)
        self._caps = RoundCaps()
        self._rng = np.random.default_rng(seed)
        self._parameters = [p for name, p in self.model.named_parameters() if not name.startswith("heads.features")]
        self._optimizer = torch.optim.AdamW(self._parameters, lr=LEARNING_RATE, weight_decay=0.0)
        self._keep()
        self._vectors = Snapshot.of(self.model, self.table).vectors
        self._gone: dict[ItemId, None] = {}

    def observe(self, examples: Sequence[TrainingExample]) -> StepMetrics:
        """Tests the model on the examples, then learns from them and from `REPLAYED_PER_NEW` old ones a new history.

        Args:
            examples: New ones, in their order; those of unknown items and cancellations are left out, and what goes
                beyond the round's caps.
        """
        taken = len(examples)
        examples = self._caps.admit(examples, self.reservoir)
        batch = encode_examples(examples, self.table.vocabulary)
        metrics = replace(self._test(batch), capped=taken - len(examples))
        old = self._old(REPLAYED_PER_NEW * len(batch.lengths))
        for example in examples:
            self.reservoir.add(example)
        if len(batch):
            self._see(examples)
            self._learn(batch if not old else encode_examples([*examples, *old], self.table.vocabulary))
        self.round.examples += len(batch)
        self.round.traced += [example.event_id for example in examples if example.traced and example.event_id]
        self.round.metrics.append(metrics)
        return metrics

    def remember(self, examples: Iterable[TrainingExample]) -> None:
        """Puts examples that the base has learned already into the reservoir alone; the round names their events."""
        for example in examples:
            self.reservoir.add(example)
            if example.traced and example.event_id:
                self.round.traced.append(example.event_id)

    def describe(self, contents: Iterable[ItemContent]) -> dict[ItemId, Vectors]:
        """Takes items in, new or changed, and gives their vectors, (D,) each. Raises InvalidMessage."""
        every = list(contents)
        back = [content.item.item_id for content in every if content.item.item_id in self._gone]
        for item_id in back:
            del self._gone[item_id]
        self.table.ids.reprieve(back)
        self.table.put(every)
        places = np.array([self.table.vocabulary.admit(content.item.item_id) for content in every], dtype=np.int64)
        self.model.eval()
        with torch.no_grad():
            vectors = self.model.items(self.table.tokens(places)).numpy()
        return {content.item.item_id: vector for content, vector in zip(every, vectors, strict=True)}

    def retire(self, items: Iterable[ItemId]) -> None:
        """Items left the catalogue: their id rows are the first to be given to others.

        Histories may go on holding them, so they stay known until there are too many of them.
        """
        left = [item_id for item_id in items if item_id in self.table.vocabulary]
        if not left:
            return
        self._gone |= dict.fromkeys(left)
        self.table.ids.retire(self._gone)
        most = max(GONE_KEPT, len(self.table.vocabulary) // 4)
        if len(self._gone) <= most:
            return
        forgotten = list(self._gone)[: len(self._gone) - most // 2]
        for item_id in forgotten:
            del self._gone[item_id]
        self.table = self.table.without(frozenset(forgotten))
        self._vectors = Snapshot.of(self.model, self.table).vectors

    def probe(self, count: int = PROBED) -> float | None:
        """Loss of the present weights on the fixed probe; None where none of its items is known any more.

        Where the root of the line left none, up to `count` remembered positives stand for it.
        """
        drawn = self._probed or self.reservoir.sample(count)
        remembered = [example for example in drawn if self._is_wanted(example)]
        if not remembered:
            return None
        metrics = self._test(encode_examples(remembered, self.table.vocabulary), fresh=True)
        return metrics.softmax_loss if metrics.positives else None

    def finite(self) -> bool:
        """Whether all weights are finite."""
        return all(bool(torch.isfinite(tensor).all()) for tensor in self.model.state_dict().values())

    def checkpoint(self) -> Checkpoint:
        """A copy of the model with the item matrix by its present weights."""
        model = copy.deepcopy(self.model).eval()
        facts = tuple(ItemFacts.of(self.table.item(item_id)) for item_id in self.table.vocabulary)
        self._vectors = Snapshot.of(model, self.table).vectors
        return Checkpoint(model, self.table.vocabulary.copy(), facts, self._vectors.numpy(), self.table.ids.copy())

    def start_round(self) -> None:
        """Ends the round as published: its weights are what a later refusal goes back to."""
        self._keep()
        self.round, self._caps = Round(), RoundCaps()

    def roll_back(self) -> None:
        """Ends the round as refused: weights and id rows are those of its start, the optimizer begins anew."""
        self.model.load_state_dict(self._kept_weights)
        ids = self._kept_ids.copy()
        ids.release([item_id for item_id in ids if item_id not in self.table.vocabulary])
        self.table = self.table.with_ids(ids)
        self.table.ids.retire(self._gone)
        self._optimizer = torch.optim.AdamW(self._parameters, lr=LEARNING_RATE, weight_decay=0.0)
        self._vectors = Snapshot.of(self.model, self.table).vectors
        self.round, self._caps = Round(), RoundCaps()

    def _old(self, count: int) -> list[TrainingExample]:
        """Examples to learn again: half of them the root's, whatever the traffic has become since."""
        pinned = self._pinned.sample(count // 2)
        return [*pinned, *self.reservoir.sample(count - len(pinned))]

    def _keep(self) -> None:
        self._kept_weights = copy.deepcopy(self.model.state_dict())
        self._kept_ids = self.table.ids.copy()

    def _see(self, examples: Sequence[TrainingExample]) -> None:
        """Items that were wanted earn id rows; a row that changes hands begins anew, its moments of Adam too."""
        wanted = [example.item_id for example in examples if self._is_wanted(example)]
        if not wanted:
            return
        gained = self.table.observe(wanted).gained
        if not gained:
            return
        rows = torch.tensor(list(gained.values()))  # (rows,)
        ids, bias = self.model.item_tower.ids.weight, self.model.bias.weight
        with torch.no_grad():
            ids[rows] = 0.0  # content alone, as before it had a row
            bias[rows] = bias[SHARED_ROW].clone()
        for parameter in (ids, bias):
            for moment in ("exp_avg", "exp_avg_sq"):
                if moment in self._optimizer.state[parameter]:
                    self._optimizer.state[parameter][moment][rows] = 0.0

    def _is_wanted(self, example: TrainingExample) -> bool:
        item_id = example.item_id
        sold = item_id in self.table.vocabulary and item_id not in self._gone
        return example.outcome is not None and not example.cancels and sold

    def _test(self, batch: ExampleBatch, fresh: bool = False) -> StepMetrics:
        nan = float("nan")
        if not len(batch):
            return StepMetrics(0, 0, nan, nan, nan)
        snapshot = Snapshot.of(self.model, self.table) if fresh else self._of_round()
        self.model.eval()
        with torch.no_grad():
            users = batch.users(self.model, snapshot.vectors)  # (B, D)
            items = snapshot.vectors[batch.targets]  # (B, D)
            match = self.model.pair_logits(users, items, snapshot.ids[batch.targets])  # (B,)
            heads = self.model.heads(users, items, match, _no_features(len(batch)))  # (B, 3)
            log_loss = float(heads_loss(heads[:, :1], batch.labels[:, :1], torch.ones_like(heads[:, :1])))
            positive = batch.positive  # (B,)
            count = int(positive.sum())
            if not count:
                return StepMetrics(len(batch), 0, nan, nan, log_loss)
            logits = self.model.catalogue_logits(users[positive], snapshot.vectors, snapshot.ids)  # (P, N)
            targets = batch.targets[positive]  # (P,)
            better = (logits > logits.gather(1, targets.unsqueeze(1))).sum(1)  # (P,)
            recall = float((better < 20).float().mean())
            return StepMetrics(len(batch), count, float(full_softmax(logits, targets)), recall, log_loss)

    def _learn(self, batch: ExampleBatch) -> None:
        self.model.train()
        drawn, known = self._drawn()
        compared = np.unique(np.concatenate([batch.targets.numpy(), drawn]))
        tokens = self.table.tokens(compared)
        items = self.model.items(tokens)  # (K, D): a part of the catalogue when it is large
        places = torch.from_numpy(np.searchsorted(compared, batch.targets.numpy()))  # (B,)
        users = batch.users(self.model, self._of_round().vectors)  # (B, D): histories by the vectors of the round
        match = self.model.pair_logits(users, items[places], tokens.ids[places])  # (B,)
        heads = self.model.heads(users, items[places], match, _no_features(len(batch)))  # (B, 3)
        loss = heads_loss(heads, batch.labels, torch.ones_like(heads))
        positive = batch.positive
        if bool(positive.any()):
            logits = self.model.catalogue_logits(users[positive], items, tokens.ids)  # (P, K)
            stands_for = torch.where(
                torch.from_numpy(np.isin(compared, drawn)), math.log(known / len(drawn)), -math.inf
            )  # (K,)
            loss = loss + full_softmax(_as_if_all(logits, places[positive], stands_for), places[positive])
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._parameters, CLIP_NORM)
        self._optimizer.step()

    def _drawn(self) -> tuple[NDArray[np.int64], int]:
        """Negatives (S,) for a batch, and of how many they are drawn.

        They are items that were wanted, which have id rows: one that nobody has touched was never passed over.
        """
        wanted = np.flatnonzero(self.table.id_rows() != SHARED_ROW)
        wanted = wanted if len(wanted) else np.arange(len(self.table.vocabulary))
        if len(wanted) <= FULL_SOFTMAX_ITEMS:
            return wanted, len(wanted)
        return self._rng.choice(wanted, SAMPLED_ITEMS, replace=False, shuffle=False), len(wanted)

    def _of_round(self) -> Snapshot:
        """The item vectors of the round's start, or of when items came or went since; popularity and ids as of now."""
        if len(self._vectors) < len(self.table.vocabulary):
            self._vectors = Snapshot.of(self.model, self.table).vectors
        ids = torch.from_numpy(self.table.id_rows())
        return Snapshot(self.model, self._vectors, ids, self.model.item_bias(ids))


def _as_if_all(logits: torch.Tensor, targets: torch.Tensor, stands_for: torch.Tensor) -> torch.Tensor:
    """Logits (P, K) of drawn items and targets whose softmax is, in expectation, that over all items drawn from.

    The sampled softmax of Bengio & Senecal, "Quick training of probabilistic neural nets by importance sampling"
    (2003), with uniform draws: we differ in that a target stands for itself and is no negative of other rows.

    Args:
        logits: (P, K).
        targets: (P,) int64 column of each row's target.
        stands_for: (K,) log of how many items a column stands for, minus infinity for one that was not drawn.
    """
    own = targets.unsqueeze(1)  # (P, 1)
    return (logits + stands_for).scatter(1, own, logits.gather(1, own))


def _no_features(count: int) -> torch.Tensor:
    """Features are hidden while learning from the log: those of the example's own time are in the archive alone."""
    return torch.zeros((count, len(HEAD_FEATURES)))
