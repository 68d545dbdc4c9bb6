"""How far a campaign has come, for whoever waits."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cloudypoints.timing import Deadline

Tell = Callable[[int, int], None]  # cases done, cases in all


_TELL_S = 60.0  # between lines, where nobody looks at a terminal


@contextmanager
def progress(what: str) -> Iterator[Tell]:
    """A bar on the terminal; a line now and then where there is none."""
    if not sys.stdout.isatty():
        yield _lines(what)
        return
    columns = (TextColumn(what), *Progress.get_default_columns()[1:2], MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def _lines(what: str) -> Tell:
    due = Deadline(_TELL_S)

    def tell(done: int, of: int) -> None:
        nonlocal due
        if due.over:
            due = Deadline(_TELL_S)
            print(f"{done} of {of} {what}", file=sys.stderr, flush=True)

    return tell
