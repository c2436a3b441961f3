import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.checks import TOLERANCES, small_case, worst_error
from benchmarks.gpu.workload import SIZES, Workload, step_flops

ROOT = Path(__file__).parents[2]
BARE = """
import sys

for name in ("pydantic", "msgspec", "ray", "safetensors", "feast", "faust", "kafka", "pymilvus", "orjson", "pyarrow",
             "contracts", "services", "streams", "feature_repo"):
    sys.modules[name] = None  # an import of it fails, as where it is not installed
from benchmarks.gpu_training import main
main()
"""


def test_the_script_runs_where_only_torch_is_installed_and_says_that_no_gpu_is_there() -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    ran = subprocess.run(
        [sys.executable, "-c", BARE, "--seconds", "1", "--sizes", "tiny"], cwd=ROOT, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert "no GPU was found" in ran.stdout
    assert "| tiny | no |" in ran.stdout


def test_the_check_sees_a_wrong_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = small_case(SIZES["tiny"])
    assert worst_error(workload, torch.device("cpu"), torch.float32) <= TOLERANCES[torch.float32]
    right = Workload._loss
    monkeypatch.setattr(Workload, "_loss", lambda self, users, *others: right(self, users * 1.01, *others))
    assert worst_error(workload, torch.device("cpu"), torch.float32) > TOLERANCES[torch.float32]


def test_the_large_size_has_a_hundred_million_parameters_that_are_no_embedding() -> None:
    sizes = SIZES["large"]
    block = 12 * sizes.width**2  # qkv 3, out 1, feed-forward 4 + 4 times the width squared
    assert block * sizes.layers == pytest.approx(100e6, rel=0.02)


def test_the_operations_of_a_step_are_six_a_parameter_and_token_and_those_of_attention_and_loss() -> None:
    sizes = SIZES["tiny"]
    tokens = 4 * 16
    assert step_flops(sizes, 1000) == tokens * (6 * 1000 + 6 * 16 * 32 * 1 + 6 * 32 * 33)
