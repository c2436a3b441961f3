"""Training and evaluation as a process of their own: its engines' chatter goes to a log file, its memory goes with it.

The child (`python -m millstream.job train|evaluate DIRECTORY|study JSON|tune JSON`) writes one JSON object a line:
progress, then the result or the error. The parent shows the progress and raises the error as its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from contracts import errors
from contracts.errors import MillstreamError
from contracts.settings import Settings, settings
from millstream.console import Advance
from millstream.stack import leash
from millstream.stack.environment import setting_variables
from millstream.stack.supervised import last_lines

LOG_LINES = 12


class JobFailed(MillstreamError):
    """The process ended without a result and without naming an error: a crash. The message has its log's end."""

    reason = "job_failed"


def run_job(name: str, given: Settings, advance: Advance, *arguments: str) -> dict[str, Any]:
    """Runs a job in a process of its own and returns its result.

    Raises:
        MillstreamError: what the job raised, of the same class; JobFailed when it crashed.
    """
    given.logs_dir.mkdir(parents=True, exist_ok=True)
    log = given.logs_dir.absolute() / f"{name}.log"
    command = (sys.executable, "-m", "millstream.job", name, *arguments)
    with log.open("ab") as chatter:
        child = subprocess.Popen(  # noqa: S603 - our own module
            (sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), *command),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=chatter, text=True,
            env={**os.environ, **setting_variables(given)},
        )  # fmt: skip
    try:
        return _follow(child, advance, log)
    finally:
        child.terminate()
        child.wait(timeout=30)
        if child.stdout is not None:
            child.stdout.close()


def _follow(child: "subprocess.Popen[str]", advance: Advance, log: Path) -> dict[str, Any]:
    for line in child.stdout or ():
        try:
            said = json.loads(line)
        except json.JSONDecodeError:
            continue  # An engine that prints to standard output.
        if not isinstance(said, dict):
            continue
        if "share" in said:
            advance(round(said["share"] * 100), 100, said["what"])
        elif "error" in said:
            raise getattr(errors, said["error"], MillstreamError)(said["message"])
        elif "result" in said:
            result: dict[str, Any] = said["result"]
            return result
    raise JobFailed(f"found no result of {child.args!r}; its log {log} ends:\n{last_lines(log, LOG_LINES)}")


def main() -> None:
    """The child: runs the job named on the command line."""
    told = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(**words: object) -> None:
        told.write(json.dumps(words) + "\n")

    given = settings()
    try:
        say(result=_run(sys.argv[1], given, lambda what, share: say(what=what, share=share)))
    except MillstreamError as error:
        say(error=type(error).__name__, message=str(error))


def _run(name: str, given: Settings, progress: Any) -> dict[str, Any]:
    from training.evaluation.table import markdown

    if name == "study":
        from millstream.studies import study_job

        study = study_job(sys.argv[2], given, progress)
        return {"markdown": markdown(study), "metrics": study.as_metrics()}

    if name == "tune":
        from millstream.studies import tune_job

        return {"markdown": tune_job(sys.argv[2], given, progress).as_markdown()}

    from training import run

    if name == "train":
        return run.train(given, progress).model_dump(mode="json")
    evaluation = run.evaluate(given, Path(sys.argv[2]), progress)
    return {"markdown": markdown(evaluation)}


if __name__ == "__main__":
    main()
