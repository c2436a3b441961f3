import pytest
import torch

from training.model.fusions import FusionKind, make_fusion

FUSIONS = pytest.mark.parametrize("kind", list(FusionKind))


def tokens() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(5, 4, 8), torch.tensor([[True, True, False, True]]).expand(5, 4)


@FUSIONS
def test_a_missing_token_has_no_influence(kind: FusionKind) -> None:
    given, present = tokens()
    fusion = make_fusion(kind, 4, 8, 2).eval()
    changed = given.clone()
    changed[:, 2] = torch.randn(5, 8) * 100
    assert torch.allclose(fusion(given, present), fusion(changed, present), atol=1e-6)
    changed[:, 1] = torch.randn(5, 8)
    assert not torch.allclose(fusion(given, present), fusion(changed, present), atol=1e-3)


@pytest.mark.parametrize("kind", [kind for kind in FusionKind if kind is not FusionKind.CONCATENATION])
def test_the_order_of_modalities_does_not_matter(kind: FusionKind) -> None:
    given, present = tokens()
    fusion = make_fusion(kind, 4, 8, 2).eval()
    order = torch.tensor([2, 0, 3, 1])
    assert torch.allclose(fusion(given, present), fusion(given[:, order], present[:, order]), atol=1e-6)


@FUSIONS
def test_fused_tokens_are_finite_when_only_one_is_present(kind: FusionKind) -> None:
    given, _ = tokens()
    only = torch.tensor([[False, False, False, True]]).expand(5, 4)
    fused = make_fusion(kind, 4, 8, 2)(given, only)
    assert fused.shape == (5, 8)
    assert bool(torch.isfinite(fused).all())
