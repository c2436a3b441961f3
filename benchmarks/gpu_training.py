"""Training speed on whatever device is here: `python -m benchmarks.gpu_training [--seconds 240] [--write]`.

Needs torch >= 2.9 and this checkout, nothing else. It checks the fast step against float64, times each size with and
without compilation, and says which share of the device's peak the model's own operations reach and where the time goes.
"""

import argparse
import dataclasses
import json
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import torch

from benchmarks.gpu.checks import TOLERANCES, small_case, worst_error
from benchmarks.gpu.timing import Timing, Trainer, peak_tflops, timed, where_time_goes
from benchmarks.gpu.workload import SIZES
from training.model.blocks import BlockKind

RESULTS = Path(__file__).parent / "results"


def check(device: torch.device) -> list[str]:
    """Compares both blocks with float64; ends the program where an error is too large."""
    lines = []
    precisions = [torch.float32, *([torch.bfloat16] if device.type == "cuda" else [])]
    for block in BlockKind:
        for precision in precisions:
            workload = small_case(dataclasses.replace(SIZES["tiny"], block=block))
            error = worst_error(workload, device, precision)
            lines.append(f"{block} in {precision}: relative error {error:.1e}, allowed {TOLERANCES[precision]:.0e}")
            print(lines[-1], flush=True)
            if not error <= TOLERANCES[precision]:
                sys.exit(
                    f"found an error of {error:.1e}; expected at most {TOLERANCES[precision]:.0e}: "
                    "no timing is worth it"
                )
    return lines


def measure(names: list[str], device: torch.device, seconds: float) -> tuple[list[Timing], str]:
    """Times each size plain and compiled, as far as the seconds reach; the profile is of the last size."""
    timings: list[Timing] = []
    table = ""
    until = time.monotonic() + seconds
    share = seconds / (3 * len(names))
    for name in names:
        for compiled in (False, True):
            if time.monotonic() > until or (compiled and device.type != "cuda"):
                continue
            trainer = Trainer(SIZES[name], device, compiled)
            timings.append(timed(name, trainer, compiled, share))
            print(
                f"{name}, {'compiled' if compiled else 'plain'}: {timings[-1].tokens_per_s:,.0f} tokens/s", flush=True
            )
            table = where_time_goes(trainer)
            del trainer
            if device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
    return timings, table


def report(device_name: str, checks: list[str], timings: list[Timing], peak: tuple[float, str], table: str) -> str:
    """The results as Markdown."""
    rows = [
        f"| {t.name} | {'yes' if t.compiled else 'no'} | {t.tokens_per_s:,.0f} | {t.step_ms[0]:.1f} "
        f"({t.step_ms[1]:.1f} to {t.step_ms[2]:.1f}) | {t.tflops:.2f} | {t.tflops / peak[0]:.1%} | {t.memory_gib:.1f} |"
        for t in timings
    ]
    return "\n".join([
        f"# Training speed on {device_name}", "",
        f"{datetime.now(UTC):%Y-%m-%d}, torch {torch.__version__}, `python -m benchmarks.gpu_training --write`. "
        f"Peak: {peak[0]:.1f} TFLOP/s ({peak[1]}).", "",
        *(f"- {line}" for line in checks), "",
        "| size | compiled | tokens/s | step ms, median (lowest to highest) | model TFLOP/s | share of peak | GiB |",
        "|---|---|---|---|---|---|---|", *rows, "",
        "Where the time goes, last configuration, three steps:", "", "```", table.strip(), "```", "",
    ])  # fmt: skip


def main() -> None:
    """Checks, times and reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=240.0, help="time for all timings together")
    parser.add_argument(
        "--sizes", nargs="+", choices=list(SIZES), help="default: small, middle, large on a GPU, else tiny"
    )
    parser.add_argument(
        "--write", action="store_true", help="write benchmarks/results/gpu_training_<device>.md and .json"
    )
    given = parser.parse_args()
    gpu = torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    device_name = torch.cuda.get_device_name() if gpu else f"a CPU ({platform.machine()})"
    print(f"{device_name}, torch {torch.__version__}" + ("" if gpu else ": no GPU was found"), flush=True)
    checks = check(device)
    if gpu:
        torch.backends.cuda.matmul.fp32_precision = "tf32"  # after the check, which is of float32
    peak = peak_tflops(device)
    timings, table = measure(given.sizes or (["small", "middle", "large"] if gpu else ["tiny"]), device, given.seconds)
    text = report(device_name, checks, timings, peak, table)
    print(text)
    if given.write:
        stem = RESULTS / f"gpu_training_{'_'.join(device_name.lower().replace('(', '').replace(')', '').split())}"
        stem.with_suffix(".md").write_text(text)
        figures = {"device": device_name, "torch": torch.__version__, "peak_tflops": peak[0],
                   "timings": [dataclasses.asdict(t) for t in timings]}  # fmt: skip
        stem.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")
        print(f"written to {stem}.md and .json")


if __name__ == "__main__":
    main()
