"""The choices of a training: from a file, from a search, refused where there is no such choice."""

import json
from pathlib import Path

import pytest

from contracts.errors import BadFile
from contracts.settings import Settings
from millstream.studies import LEARNING_RATE, plan_of
from tests.builders import shop
from training.losses import TowerLoss
from training.model.blocks import BlockKind, HstuBlock
from training.model.fusion import FusionTransformer
from training.ray_worker import recipe_of
from training.recipe import Recipe, read_recipe
from training.trials import RECIPE, Trial, Trials


def written(tmp_path: Path, recipe: object) -> Path:
    path = tmp_path / "r.json"
    path.write_text(recipe if isinstance(recipe, str) else json.dumps(recipe))
    return path


def test_what_a_file_leaves_out_is_as_without_it(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, {"loss": "gbce", "block": "hstu"}), width=32, learning_rate=0.01)
    assert recipe == Recipe(width=32, learning_rate=0.01, loss=TowerLoss.GBCE, block=BlockKind.HSTU)


def test_a_recipe_makes_the_model_it_names() -> None:
    recipe = Recipe(width=16, layers=3, block=BlockKind.HSTU, negatives=7)
    model = FusionTransformer(recipe.model(shop.table(shop.contents()).shape))
    assert [type(block) for block in model.user_tower.blocks] == [HstuBlock] * 3
    assert model.item_tower.ids.embedding_dim == 16
    assert recipe.tower_loss().negatives == 7


def test_settings_name_the_recipe_of_studies_and_of_batch_trainings(tmp_path: Path) -> None:
    given = Settings(state_dir=tmp_path, train_recipe=written(tmp_path, {"layers": 1}))
    assert recipe_of(given) == Recipe(width=given.model_width, layers=1)
    assert plan_of(given).recipe == Recipe(width=given.study_width, layers=1, learning_rate=LEARNING_RATE)


def test_the_best_trial_of_a_search_is_a_recipe(tmp_path: Path) -> None:
    drawn = {
        "width": 32, "layers": 1, "dropout": 0.2, "learning_rate": 1e-3, "loss": "bce", "negatives": 256,
        "block": "hstu",
    }  # fmt: skip
    worse, best = Trial("a", drawn | {"layers": 3}, 0.1, 1, 1.0), Trial("b", drawn, 0.2, 1, 1.0)
    Trials.of("tiny", "leave-one-out", [worse, best]).write(tmp_path)
    assert read_recipe(tmp_path / RECIPE) == Recipe(**drawn)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"blocks": "hstu"}, "blocks: Extra inputs"),
        ({"loss": "hinge"}, "loss: Input should be"),
        ({"width": 30}, "width 30 for 4 heads"),
        ("[1]", "no JSON object"),
        ("{", "no JSON object"),
    ],
)
def test_a_choice_that_there_is_not_is_told(tmp_path: Path, recipe: object, said: str) -> None:
    with pytest.raises(BadFile, match=said):
        read_recipe(written(tmp_path, recipe))


def test_a_recipe_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"none\.json"):
        read_recipe(tmp_path / "none.json")
