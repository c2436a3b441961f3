"""The demo's figures over several headless runs: `python -m benchmarks.demo_figures --runs 3 [--save]`.

With `--summaries` it runs nothing and reads summaries that are there.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.machine import machine, save, spread
from millstream.demo.summary import PATH, DemoSummary


def main() -> None:
    """Runs the demos and prints the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--summaries", type=Path, nargs="*", default=[])
    arguments.add_argument("--save", action="store_true")
    given = arguments.parse_args()
    on = machine()
    summaries = [DemoSummary.model_validate_json(path.read_text()) for path in given.summaries or _run(given)]
    figures = {
        "click to ranking p50, s": [one.click_to_ranking_s.p50 for one in summaries],
        "click to ranking p95, s": [one.click_to_ranking_s.p95 for one in summaries],
        "click to weights p50, s": [one.click_to_weights_s.p50 for one in summaries],
        "click to weights p95, s": [one.click_to_weights_s.p95 for one in summaries],
        "recommendation p50 among live shoppers, ms": [one.recommend_ms.p50 for one in summaries],
        "recommendation p99 among live shoppers, ms": [one.recommend_ms.p99 for one in summaries],
        "seconds to the open page": [one.seconds_to_open for one in summaries],
        "resident, MB": [one.resident_mb for one in summaries],
    }
    for name, values in figures.items():
        print(f"{name:45} {spread(values)}")
    if given.save:
        print("saved:", save("demo_figures", {"machine": on, "figures": figures}))


def _run(given: argparse.Namespace) -> list[Path]:
    kept = []
    for number in range(1, given.runs + 1):
        subprocess.run([sys.executable, "-m", "millstream", "demo", "--seconds", str(given.seconds)], check=True)
        kept.append(PATH.with_name(f"demo-summary-{number}.json"))
        shutil.copy(PATH, kept[-1])
    return kept


if __name__ == "__main__":
    main()
