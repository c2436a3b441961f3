"""What a batch training leaves for the learner of its line, and that the learner can go on from it."""

from functools import partial
from pathlib import Path

import torch

from contracts.settings import Settings
from tests.builders import shop
from tests.builders.learner_loop import Loop
from training import remembered
from training.distributed import Source, train
from training.run import publish_trained


def test_the_newest_new_item_of_each_user_is_remembered_with_what_came_before_and_without_the_user() -> None:
    made = remembered.remembered(shop.shop(users=30), seed=0)
    assert len(made) == 30
    users = {f"u{number}" for number in range(30)}
    for example in made:
        assert example.user_id not in users
        assert example.outcome is not None
        assert example.item_id not in example.history_items
        assert len(example.history_items) == len(example.history_kinds) == len(example.history_times_ms)
        assert list(example.history_times_ms) == sorted(example.history_times_ms)
    assert len({example.example_id for example in made}) == 30


def test_no_more_are_remembered_than_asked_for() -> None:
    assert len(remembered.remembered(shop.shop(users=30), seed=0, most=7)) == 7


def test_they_come_back_from_a_directory_and_damaged_ones_are_passed_over(tmp_path: Path) -> None:
    made = remembered.remembered(shop.shop(), seed=0)
    assert remembered.load(tmp_path) == ()
    remembered.save(tmp_path, made)
    assert remembered.load(tmp_path) == made
    (tmp_path / remembered.FILE).write_bytes(b'{"half')
    assert remembered.load(tmp_path) == ()


def test_a_learner_goes_on_from_a_real_training_and_its_honest_rounds_are_published(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    loop = Loop(tmp_path)
    for content in shop.contents(24):
        loop.put(content)
    settings = Settings(state_dir=tmp_path, train_workers=0, train_epochs=8, model_width=16)
    source = Source(partial(shop.shop, 60, 24, 24), shop.no_features)
    trained = train(settings, source, lambda words, share: None)
    version = publish_trained(trained, loop.shelves, {0: 0})
    assert remembered.load(loop.store.path(version.version)) == trained.kept
    for turn in range(8):
        examples = [shop.example(40 * turn + number, f"i{number % 24}") for number in range(24)]
        loop.feed(*examples)
        loop.run(turns=1)
    learned = loop.versions()[1:]
    assert len(learned) == 8
    assert {each.line for each in learned} == {version.version}
    gate = learned[-1].gate
    assert gate is not None
    assert loop.flow.line is not None
    assert learned[0].gate is not None
    assert gate.probe_loss == learned[0].gate.probe_loss
