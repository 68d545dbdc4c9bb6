"""A table that renews itself in a terminal; plain lines now and then where there is none.

Uses rich where it is installed; a subscriber's base install prints aligned text instead.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from cloudypoints.timing import monotonic_s

_PLAIN_EVERY_S = 5.0
_STYLES = {"ok": "green", "degraded": "yellow", "stale": "bold red", "failed": "bold red"}
_STYLES |= {"ended": "dim", "reconnecting": "yellow", "streaming": "green", "no data": "bold red"}

Row = Sequence[str]


class LiveTable:
    """Shows rows under a title until its `with` block ends; the last state stays on the screen."""

    def __init__(self, title: str, columns: Sequence[str]) -> None:
        self._title = title
        self._columns = columns
        self._live: Any = None
        self._printed_s = monotonic_s() - _PLAIN_EVERY_S + 1.0  # the first second says little
        self._rows: Sequence[Row] = ()

    def __enter__(self) -> LiveTable:
        if sys.stdout.isatty():
            try:
                from rich.live import Live
            except ImportError:
                return self
            self._live = Live(self._rich([]), refresh_per_second=8)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
        elif self._rows:
            self._print(self._rows)

    def show(self, rows: Sequence[Row]) -> None:
        """Put these in the place of the last ones."""
        self._rows = rows
        if self._live is not None:
            self._live.update(self._rich(rows))
        elif monotonic_s() - self._printed_s >= _PLAIN_EVERY_S and rows:
            self._print(rows)
            self._rows = ()

    def _print(self, rows: Sequence[Row]) -> None:
        self._printed_s = monotonic_s()
        widths = [max(map(len, column)) for column in zip(self._columns, *rows, strict=True)]
        for row in (self._columns, *rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print("  ".join(cells).rstrip(), flush=True)

    def _rich(self, rows: Sequence[Row]) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table(title=self._title, title_justify="left", expand=False)
        for column in self._columns:
            table.add_column(column, no_wrap=column != "why")
        for row in rows:
            table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
        return table


def metres(distance_m: float) -> str:
    """`12.3 m`, `none` for inf, `unknown` for NaN."""
    if math.isnan(distance_m):
        return "unknown"
    return "none" if distance_m == float("inf") else f"{distance_m:.1f} m"


def seconds(duration_s: float) -> str:
    """`42 ms`, `1.3 s`, `-` where there is none."""
    if not abs(duration_s) < float("inf"):
        return "-"
    return f"{duration_s * 1e3:.0f} ms" if abs(duration_s) < 1 else f"{duration_s:.1f} s"
