import pytest
import torch

from training.model.blocks import BlockKind
from training.model.user_tower import UserTower
from training.model.vocabulary import gap_buckets, kind_row

BLOCKS = pytest.mark.parametrize("block", list(BlockKind))


def tower(block: BlockKind = BlockKind.PRE_NORM) -> UserTower:
    torch.manual_seed(0)
    made = UserTower(width=16, layers=2, heads=2, dropout=0.0, block=block).eval()
    torch.nn.init.normal_(made.out.weight)
    return made


def sequence(length: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    items = torch.nn.functional.normalize(torch.randn((2, length, 16), generator=generator), dim=-1)
    kinds = torch.randint(0, 5, (2, length), generator=generator)
    gaps = torch.randint(0, 20, (2, length), generator=generator)
    return items, kinds, gaps


@BLOCKS
def test_the_causal_mask_leaks_nothing_from_later_interactions(block: BlockKind) -> None:
    items, kinds, gaps = sequence(10)
    changed = items.clone()
    changed[:, 6:] = torch.randn_like(changed[:, 6:])
    later_kinds = kinds.clone()
    later_kinds[:, 6:] = 0
    with torch.no_grad():
        before = tower(block)(items, kinds, gaps)
        after = tower(block)(changed, later_kinds, gaps)
    assert torch.allclose(before[:, :7], after[:, :7], atol=1e-5)
    assert not torch.allclose(before[:, 7:], after[:, 7:], atol=1e-3)


@BLOCKS
def test_padded_equals_unpadded(block: BlockKind) -> None:
    items, kinds, gaps = sequence(10)
    with torch.no_grad():
        padded = tower(block)(items, kinds, gaps)[:, 4]
        unpadded = tower(block)(items[:, :4], kinds[:, :4], gaps[:, :4])[:, -1]
    assert torch.allclose(padded, unpadded, atol=1e-5)


def test_no_interactions_give_the_unit_vector_of_the_start_token() -> None:
    items, kinds, gaps = sequence(0)
    with torch.no_grad():
        users = tower()(items, kinds, gaps)
    assert users.shape == (2, 1, 16)
    assert torch.allclose(users.norm(dim=-1), torch.ones(2, 1), atol=1e-5)


def test_a_gap_is_the_time_to_the_next_interaction_and_to_now_for_the_last() -> None:
    # 1 s, 7 s and 1023 s: floor(log2(1 + 1)), floor(log2(7 + 1)), floor(log2(1023 + 1))
    assert gap_buckets([0, 1_000, 8_000], 8_000 + 1_023_000).tolist() == [1, 3, 10]


def test_a_gap_that_runs_backwards_counts_as_none() -> None:
    assert gap_buckets([5_000], 1_000).tolist() == [0]


def test_an_unknown_kind_has_a_row_of_its_own() -> None:
    assert kind_row("view") == 0
    assert kind_row("teleported") == 5
