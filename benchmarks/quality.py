"""Ranking quality on public sets: `python -m benchmarks.quality beauty --seeds 3`, or another of `quality_sets.SETS`.

The set is put into the two files that any shop would bring, and the code of `millstream train --events ...` runs on
them with its settings as they are for everyone. Results stand in `benchmarks/results/quality_<set>.md` and `.json`.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from benchmarks.machine import RESULTS, machine
from benchmarks.quality_sets import SETS
from contracts.settings import settings
from millstream.studies import encoders_of, plan_of, study_of
from training.evaluation.table import markdown
from training.studies import run_study


def main() -> None:
    """Runs one set and keeps its tables and pictures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("name", choices=sorted(SETS))
    arguments.add_argument("--seeds", type=int, default=1)
    arguments.add_argument("--output", type=Path, help="a folder to keep pictures and checkpoint in")
    given = arguments.parse_args()
    on, configuration = machine(), settings()
    with tempfile.TemporaryDirectory() as folder:
        made = SETS[given.name](Path(folder))
        output = given.output or Path(folder) / "output"
        asked = {
            "events": str(made.events),
            "items": str(made.items) if made.items else None,
            "test_events": str(made.test_events) if made.test_events else None,
            "protocol": made.protocol,
            "cut": made.cut,
            "output": str(output),
            "seeds": given.seeds,
        }
        last = [""]

        def progress(what: str, share: float) -> None:
            if what != last[0]:
                print(f"{share:5.0%} {what}", flush=True)
            last[0] = what

        study = study_of(asked, configuration)
        evaluation = run_study(study, encoders_of(configuration), plan_of(configuration), progress)
        command = f"python -m benchmarks.quality {given.name} --seeds {given.seeds}"
        head = (
            f"# {made.remark}\n\n`{command}`, {on['processor']}, {on['cores']} cores, Python {on['python']}, "
            f"{on['at']}.\n\n"
        )
        stem = f"quality_{given.name.replace('-', '_')}"
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{stem}.md").write_text(head + markdown(evaluation))
        kept = {"command": command, "machine": on, "evaluation": json.loads(evaluation.as_json())}
        (RESULTS / f"{stem}.json").write_text(json.dumps(kept, indent=2) + "\n")
        shutil.copy(output / "rankers.png", RESULTS / f"{stem}.png")
        print(markdown(evaluation))


if __name__ == "__main__":
    main()
