"""Times steps of a workload: batches made ahead on a stream of their own, medians over repetitions, a profile."""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.workload import Sizes, Workload, step_flops

PEAK_TFLOPS = {"H200": 989.0, "H100 PCIe": 756.0, "H100": 989.0, "A100": 312.0, "L40": 181.0, "L4": 121.0, "A10": 125.0}
"""Dense bfloat16 peaks of the makers' data sheets, by a part of the device's name."""

REPETITIONS = 5


@dataclass(frozen=True)
class Timing:
    """One configuration: tokens a second and step times (median, lowest, highest), model FLOPs a second."""

    name: str
    compiled: bool
    tokens_per_s: float
    step_ms: tuple[float, float, float]
    tflops: float
    memory_gib: float


def batches(sizes: Sizes, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Random batches for ever; on a GPU they are copied from pinned memory while the step before runs."""
    generator = torch.Generator().manual_seed(2)
    gpu = device.type == "cuda"
    stream = torch.cuda.Stream() if gpu else None

    def made() -> tuple[Tensor, Tensor]:
        sequences = torch.randint(sizes.items, (sizes.batch, sizes.length + 1), generator=generator)
        negatives = torch.randint(sizes.items, (sizes.negatives,), generator=generator)
        if stream is None:
            return sequences, negatives
        with torch.cuda.stream(stream):
            return (
                sequences.pin_memory().to(device, non_blocking=True),
                negatives.pin_memory().to(device, non_blocking=True),
            )

    ahead = made()
    while True:
        if stream is not None:
            torch.cuda.current_stream().wait_stream(stream)
            for tensor in ahead:
                tensor.record_stream(torch.cuda.current_stream())
        now, ahead = ahead, made()
        yield now


class Trainer:
    """A workload with its optimizer: float32 weights, bfloat16 computation on a GPU, AdamW in one kernel there."""

    def __init__(self, sizes: Sizes, device: torch.device, compiled: bool) -> None:
        torch.manual_seed(0)
        self.sizes, self.device = sizes, device
        self.workload = Workload(sizes).to(device)
        if compiled:
            for place, block in enumerate(self.workload.blocks):
                self.workload.blocks[place] = _compiled(block)
        self.optimizer = torch.optim.AdamW(self.workload.parameters(), lr=1e-4, fused=device.type == "cuda")
        self.batches = batches(sizes, device)

    def step(self) -> None:
        """One batch: loss, gradients, weights."""
        sequences, negatives = next(self.batches)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"):
            loss = self.workload(sequences, negatives)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def timed(name: str, trainer: Trainer, compiled: bool, seconds: float) -> Timing:
    """Warms up, then runs `REPETITIONS` repetitions of together at most `seconds`."""
    for _ in range(3):
        trainer.step()
    _wait(trainer.device)
    started = time.perf_counter()
    trainer.step()
    _wait(trainer.device)
    steps = max(1, min(50, int(seconds / REPETITIONS / max(time.perf_counter() - started, 1e-6))))
    times = []
    for _ in range(REPETITIONS):
        started = time.perf_counter()
        for _ in range(steps):
            trainer.step()
        _wait(trainer.device)
        times.append((time.perf_counter() - started) / steps)
    middle = statistics.median(times)
    memory = torch.cuda.max_memory_allocated() / 2**30 if trainer.device.type == "cuda" else 0.0
    flops = step_flops(trainer.sizes, trainer.workload.core_parameters())
    tokens = trainer.sizes.batch * trainer.sizes.length
    span = (middle * 1e3, min(times) * 1e3, max(times) * 1e3)
    return Timing(name, compiled, tokens / middle, span, flops / middle / 1e12, memory)


def where_time_goes(trainer: Trainer, rows: int = 15) -> str:
    """The profiler's table of three steps, by the device's own time."""
    gpu = trainer.device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]) as profiled:
        for _ in range(3):
            trainer.step()
        _wait(trainer.device)
    key = "self_cuda_time_total" if gpu else "self_cpu_time_total"
    return str(profiled.key_averages().table(sort_by=key, row_limit=rows, max_name_column_width=48))


def peak_tflops(device: torch.device) -> tuple[float, str]:
    """The dense bfloat16 peak of the device and where the figure is from; measured where the name is not known."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for part, peak in PEAK_TFLOPS.items():
            if part in name:
                return peak, f"data sheet of {part}"
    side = 8192 if device.type == "cuda" else 1024
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(6):
        started = time.perf_counter()
        torch.mm(a, b)
        _wait(device)
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best / 1e12, f"a product of two {side} x {side} matrices in {dtype}, best of 6"


def _compiled(block: nn.Module) -> nn.Module:
    made: nn.Module = torch.compile(block)  # type: ignore[assignment]
    return made


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
