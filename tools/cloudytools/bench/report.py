"""Measured budgets for people, as a table, and for programs, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from cloudytools.bench import machine
from cloudytools.bench.figures import Effort, Figure

_STYLES = {"met": "green", "missed": "bold red", "open": "yellow"}

Measured = Mapping[str, Sequence[Figure]]  # by budget


def table(measured: Measured, failed: Mapping[str, str]) -> Table:
    """A row for each figure, and one for each budget that could not be measured."""
    shown = Table(box=box.SIMPLE)
    shown.add_column("budget", no_wrap=True)
    for title in ("figure", "spread", "target"):
        shown.add_column(title, justify="right", no_wrap=True)
    shown.add_column("")
    shown.add_column("beside it")
    for figure in (figure for figures in measured.values() for figure in figures):
        shown.add_row(*_cells(figure))
    for name, fault in failed.items():
        shown.add_row(name, "", "", "", "[bold red]not measured[/]", fault)
    return shown


def document(measured: Measured, failed: Mapping[str, str], effort: Effort) -> dict[str, Any]:
    """Everything, as JSON takes it; no path and no host name."""
    return {
        "machine": machine.facts(),
        "quick": effort.quick,
        "rounds": effort.rounds,
        "video": "own" if effort.video else "embedded or generated",
        "budgets": {name: [_entry(one) for one in figures] for name, figures in measured.items()},
        "failed": dict(failed),
    }


def _cells(figure: Figure) -> tuple[str, ...]:
    rounds = figure.rounds
    spread = f"{_short(min(rounds))} - {_short(max(rounds))}" if len(rounds) > 1 else ""
    verdict = f"[{_STYLES[figure.verdict]}]{figure.verdict}[/]"
    beside = ", ".join(f"{name} {_short(value)}" for name, value in figure.beside.items())
    value = f"{_short(figure.median)} {figure.target.unit}"
    return figure.name, value, spread, str(figure.target), verdict, beside


def _entry(figure: Figure) -> dict[str, Any]:
    return {
        "name": figure.name,
        "figure": figure.median,
        "unit": figure.target.unit,
        "rounds": list(figure.rounds),
        "target": str(figure.target),
        "verdict": figure.verdict,
        "beside": dict(figure.beside),
    }


def _short(value: float) -> str:
    """Three significant digits, without an exponent."""
    decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{decimals}f}"
