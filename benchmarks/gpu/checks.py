"""Is the fast step right? Loss and every gradient of a small case against the plain loss in float64."""

import copy
import dataclasses

import torch

from benchmarks.gpu.workload import Sizes, Workload, plain_loss

TOLERANCES = {torch.float32: 2e-5, torch.bfloat16: 5e-2}
"""Largest relative error allowed, by the precision of the fast step; bfloat16 has 8 bits of mantissa."""


def worst_error(workload: Workload, device: torch.device, precision: torch.dtype) -> float:
    """Largest relative error, in norm, of the loss and of each parameter's gradient."""
    sizes = workload.sizes
    generator = torch.Generator().manual_seed(1)
    sequences = torch.randint(sizes.items, (sizes.batch, sizes.length + 1), generator=generator)
    negatives = torch.randint(sizes.items, (sizes.negatives,), generator=generator)
    exact = copy.deepcopy(workload).double().cpu()
    expected = plain_loss(exact, sequences, negatives)
    expected.backward()
    fast = copy.deepcopy(workload).to(device)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision is torch.bfloat16):
        loss = fast(sequences.to(device), negatives.to(device))
    loss.backward()
    errors = [abs(loss.item() - expected.item()) / abs(expected.item())]
    for ours, theirs in zip(fast.parameters(), exact.parameters(), strict=True):
        if theirs.grad is None or ours.grad is None:
            errors.append(float(ours.grad is not theirs.grad))
            continue
        scale = theirs.grad.norm().clamp(min=1e-9)
        errors.append(float((ours.grad.double().cpu() - theirs.grad).norm() / scale))
    return max(errors)


def small_case(sizes: Sizes) -> Workload:
    """A workload of the same block, small enough for float64 on a CPU."""
    torch.manual_seed(0)
    return Workload(dataclasses.replace(sizes, width=64, layers=2, heads=4, length=32, batch=4, items=500,
                                        negatives=64, chunk=48))  # fmt: skip
