"""Datasets: fetch them, unpack them, look through them, make small ones, pack composed ones."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from cloudypoints.download import Progress as Bytes
from cloudypoints.errors import CloudyPointsError, ConfigError
from cloudytools.data import KINDS, archives, fetch, make, parts, survey
from cloudytools.data import open as open_dataset
from cloudytools.data.reference import spread
from cloudytools.data.report import Subject, page

_EPILOG = """\
examples:
  python -m cloudytools.data fetch diode diode --split val --only indoors
  python -m cloudytools.data fetch cityscapes cityscapes      (asks for your account)
  python -m cloudytools.data inspect cityscapes cityscapes --split val --out report.html
  python -m cloudytools.data make redweb made/redweb --train 60 --val 12
  python -m cloudytools.data pack composed packed --split train --per-part 5000
"""
_CONSOLE = Console(stderr=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do as the command line says; the exit code: 2 where it could not be done."""
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.command(chosen))
    except CloudyPointsError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
    return 2


def _fetch(chosen: argparse.Namespace) -> int:
    if chosen.kind in fetch.ASK:
        print(fetch.ASK[chosen.kind], file=sys.stderr)
        return 2
    for step in _steps(chosen):
        _show_bytes(step.what, step.progress)
    print(f"{chosen.folder} is complete; look at it: python -m cloudytools.data inspect "
          f"{chosen.kind} {chosen.folder} --split {chosen.split}")  # fmt: skip
    return 0


def _steps(chosen: argparse.Namespace) -> Iterator[fetch.Step]:
    if chosen.kind == "diode":
        return fetch.diode_steps(chosen.folder, chosen.split, chosen.only, *chosen.url)
    if chosen.only:
        raise ConfigError("cityscapes comes as a whole: --only is for diode")
    return fetch.cityscapes_steps(chosen.folder, _account(), *chosen.url)


def _account() -> fetch.Account:
    """From the environment, else asked for."""
    user = os.environ.get("CITYSCAPES_USERNAME") or input("user of cityscapes-dataset.com: ")
    password = os.environ.get("CITYSCAPES_PASSWORD") or getpass.getpass("password: ")
    return fetch.Account(user, password)


def _unpack(chosen: argparse.Namespace) -> int:
    for archive in chosen.archives:
        if not archive.is_file():
            raise ConfigError(f"{archive}: no such archive")
        _show_bytes(f"unpacking {archive.name}", archives.unpack(archive, chosen.out))
    return 0


def _inspect(chosen: argparse.Namespace) -> int:
    dataset = open_dataset(chosen.kind, chosen.folder, chosen.split, only=chosen.only)
    found = survey.Survey()
    indices = spread(len(dataset), chosen.limit or len(dataset))
    shown = [indices[i] for i in spread(len(indices), chosen.pictures)]
    looking = found.look_through(dataset, indices, shown)
    _show_counts("looking through", looking, len(indices))
    part = f" ({chosen.only})" if chosen.only else ""
    subject = Subject(
        chosen.kind,
        str(chosen.folder),
        chosen.split + part,
        len(dataset),
        dataset.missing,
        dataset.fingerprint,
    )
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(page(subject, found), encoding="utf-8")
    if chosen.reference is not None:
        found.statistics.reference(dataset.fingerprint).save(chosen.reference)
    print(
        f"{len(dataset)} samples, {len(dataset.missing)} incomplete, {len(found.broken)} broken "
        f"of {len(indices)} looked at, {len(found.without_depth)} without any depth: {chosen.out}"
    )
    return 0 if found.read else 2


def _make(chosen: argparse.Namespace) -> int:
    counts = {"train": chosen.train, "val": chosen.val}
    if chosen.kind == "composed":
        counts = {"foregrounds": chosen.cutouts, "backgrounds": chosen.backgrounds}
    if chosen.streets is not None:
        streets = make.from_shards(chosen.kind, chosen.streets)
    else:
        streets = make.rendered(chosen.kind, chosen.seed, chosen.size, chosen.workers)
    making = make.make(chosen.kind, chosen.folder, counts, streets)
    _show_counts(f"making {chosen.kind}", making, sum(counts.values()))
    return 0


def _pack(chosen: argparse.Namespace) -> int:
    dataset = open_dataset("composed", chosen.folder, chosen.split)
    count = min(chosen.count or len(dataset), len(dataset))
    writing = parts.write(dataset, chosen.out / chosen.split, chosen.per_part, range(count))
    _show_counts(f"packing {chosen.split}", writing, count)
    return 0


def _show_counts(what: str, steps: Iterable[int], total: int) -> None:
    """Run the steps behind a bar."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_CONSOLE) as progress:
        bar = progress.add_task("", total=total)
        for done in steps:
            progress.update(bar, completed=done)


def _show_bytes(what: str, steps: Iterable[Bytes]) -> None:
    """Run the steps behind a bar in bytes."""
    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=_CONSOLE) as progress:
        bar = progress.add_task("", total=None)
        for done, total in steps:
            progress.update(bar, completed=done, total=total or None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cloudytools.data",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="WHAT")
    _add_fetch(commands.add_parser("fetch", help="download what may be downloaded; resumes"))
    _add_unpack(commands.add_parser("unpack", help="unpack downloaded archives; resumes"))
    _add_inspect(commands.add_parser("inspect", help="look through a dataset: one HTML report"))
    _add_make(commands.add_parser("make", help="a small one from rendered streets"))
    _add_pack(commands.add_parser("pack", help="composed samples into archives of several parts"))
    return parser


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Cityscapes takes your own account: CITYSCAPES_USERNAME and CITYSCAPES_PASSWORD, or it "
        "asks. A download that was stopped goes on where it was; digests are checked."
    )
    parser.add_argument("kind", choices=("diode", "cityscapes", *fetch.ASK))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", choices=("train", "val"), default="val", help="of diode")
    parser.add_argument("--only", default="", metavar="PART", help="of diode: indoors or outdoor")
    parser.add_argument(
        "--url", nargs=1, default=(), metavar="URL", help="a mirror instead of the official site"
    )
    parser.set_defaults(command=_fetch)


def _add_unpack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archives", type=Path, nargs="+", metavar="ARCHIVE", help=".zip, .tar.gz")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.set_defaults(command=_unpack)


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=tuple(KINDS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="train", help="train (default), val, test or all")
    parts_of = "; ".join(f"{name}: {kind.parts}" for name, kind in KINDS.items() if kind.parts)
    parser.add_argument("--only", default="", metavar="PART", help=parts_of)
    parser.add_argument("--out", type=Path, default=Path("report.html"), help="(report.html)")
    parser.add_argument("--limit", type=_positive, metavar="N", help="look at so many, spread")
    parser.add_argument("--pictures", type=_positive, default=12, metavar="N", help="shown (12)")
    parser.add_argument(
        "--reference", type=Path, metavar="FILE", help="write the input statistics for `drift` here"
    )
    parser.set_defaults(command=_inspect)


def _add_make(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=make.KINDS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=_positive, default=40, metavar="N", help="pictures (40)")
    parser.add_argument("--val", type=_positive, default=10, metavar="N", help="pictures (10)")
    for what in ("cutouts", "backgrounds"):
        parser.add_argument(
            f"--{what}", type=_positive, default=20, metavar="N", help="of composed (20)"
        )
    parser.add_argument("--size", type=size, default=(160, 96), help="WIDTHxHEIGHT (160x96)")
    parser.add_argument("--seed", type=int, default=0, help="of the first picture")
    parser.add_argument("--workers", type=_positive, default=2, help="processes that render (2)")
    parser.add_argument(
        "--streets", type=Path, metavar="SHARDS", help="take rendered shards: much faster"
    )
    parser.set_defaults(command=_make)


def _add_pack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="cut-outs and backgrounds")
    parser.add_argument("out", type=Path)
    parser.add_argument("--split", choices=("train", "val", "all"), default="all")
    parser.add_argument("--count", type=_positive, metavar="N", help="the first N alone")
    parser.add_argument("--per-part", type=_positive, default=5000, help="samples (5000)")
    parser.set_defaults(command=_pack)


def size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT as two numbers of at least 16 px."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and min(int(width), int(height)) >= 16):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT of 16 px or more each")
    return int(width), int(height)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
