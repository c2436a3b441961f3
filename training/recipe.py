"""The choices of a model and its training in one place: what `millstream tune` finds, and what a training is given."""

import json
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contracts.errors import BadFile
from training.losses import TowerLoss
from training.model.blocks import BlockKind
from training.model.content import ContentShape
from training.model.fusion import FusionConfig
from training.model.fusions import FusionKind
from training.tower_step import LossConfig


class Recipe(BaseModel):
    """Choices; each may be left out.

    Attributes:
        width: D.
        layers: Blocks of the user tower.
        attention_heads: Of every attention; the width is a multiple of it.
        block: Kind of the user tower's blocks.
        fusion: How an item's modalities become one vector.
        dropout: Of the user tower.
        modality_dropout: Share of an item's modalities that are hidden in training.
        learning_rate: The highest of the cycle.
        loss: Of the towers.
        negatives: Uniform ones a batch, of the losses that draw some.
        correction: Whether the sampled softmax corrects by logQ.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: Annotated[int, Field(ge=4, le=4096)] = FusionConfig.width
    layers: Annotated[int, Field(ge=1, le=64)] = FusionConfig.layers
    attention_heads: Annotated[int, Field(ge=1)] = FusionConfig.attention_heads
    block: BlockKind = FusionConfig.block
    fusion: FusionKind = FusionConfig.fusion
    dropout: Annotated[float, Field(ge=0, lt=1)] = FusionConfig.dropout
    modality_dropout: Annotated[float, Field(ge=0, lt=1)] = FusionConfig.modality_dropout
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    loss: TowerLoss = LossConfig.kind
    negatives: Annotated[int, Field(ge=1)] = LossConfig.negatives
    correction: bool = LossConfig.correction

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.width % self.attention_heads:
            raise ValueError(f"found width {self.width} for {self.attention_heads} heads; expected a multiple")
        return self

    def model(self, content: ContentShape) -> FusionConfig:
        """Sizes and choices of a model over such content."""
        return FusionConfig(
            content,
            width=self.width,
            layers=self.layers,
            attention_heads=self.attention_heads,
            dropout=self.dropout,
            block=self.block,
            modality_dropout=self.modality_dropout,
            fusion=self.fusion,
        )

    def tower_loss(self) -> LossConfig:
        """The loss of the towers."""
        return LossConfig(self.loss, self.negatives, self.correction)


def read_recipe(path: Path | None, **otherwise: Any) -> Recipe:
    """The recipe of a JSON file; what the file leaves out, or all where there is no file, is as in `otherwise`.

    Raises:
        BadFile: no such file, no JSON object, or a choice that there is not.
    """
    if path is None:
        return Recipe(**otherwise)
    try:
        chosen = json.loads(path.read_text())
        return Recipe.model_validate({**otherwise, **chosen})
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"found the recipe {path} unreadable ({error}); check the path") from error
    except (json.JSONDecodeError, TypeError) as error:
        raise BadFile(f'found the recipe {path} to be no JSON object ({error}); write {{"width": 64}}') from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'recipe'}: {each['msg']}" for each in error.errors())
        raise BadFile(
            f"found in the recipe {path}: {wrong}; expected some of {', '.join(Recipe.model_fields)}"
        ) from error
