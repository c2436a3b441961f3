"""`millstream archive merge`: joins the archive's small files, as the archive agent does now and then by itself."""

from collections import Counter

import typer

from contracts.errors import StackError
from contracts.settings import settings
from feature_repo.archive_merge import ArchiveMerge
from millstream import console

archive = typer.Typer(no_args_is_help=True, help="The archive of events, examples, items and vectors.")


@archive.callback()
def _every_command() -> None:
    """Keeps `merge` a command of its own while it is the only one."""


@archive.command("merge")
def merge() -> None:
    """Merge all small files of the archive; safe while the stack runs."""
    merging = ArchiveMerge(settings().archive_dir)
    files: Counter[str] = Counter()
    with console.step("Merging archive files") as advance:
        try:
            while merged := merging.one(everything=True):
                files[merged.dataset] += merged.files - 1
                advance(files.total(), 0, merged.dataset)
        except OSError as error:
            raise StackError(f"found {error}; expected room for a merged file; free space and run it again") from error
    for dataset, count in files.items():
        console.say(f"  {dataset}: {count} files fewer")
    if not files:
        console.say("  nothing to merge")
