"""`python -m cloudytools.scenes`: write shards of synthetic streets, or a contact sheet."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cloudytools.scenes import sample
from cloudytools.scenes.shards import SHARD, shard_path, write_shard
from cloudytools.scenes.sheet import contact_sheet

Job = tuple[Path, range, int, int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do as the command line says; the exit code."""
    options = _parser().parse_args(arguments)
    width_px, height_px = options.size
    if options.sheet:
        seeds = range(options.seed, options.seed + options.count)
        sheet = contact_sheet([sample(seed, width_px, height_px) for seed in seeds])
        cv2.imwrite(str(options.sheet), sheet[..., ::-1])
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    jobs = shard_jobs(options.out, options.count, options.seed, options.size)
    _run(jobs, options.workers)
    return 0


def shard_jobs(folder: Path, count: int, seed: int, size_px: tuple[int, int]) -> list[Job]:
    """The shards that `count` pictures make; their seeds follow one another from `seed`."""
    firsts = range(0, count, SHARD)
    return [
        (shard_path(folder, i), range(seed + first, seed + min(first + SHARD, count)), *size_px)
        for i, first in enumerate(firsts)
    ]


def _run(jobs: list[Job], workers: int) -> None:
    """Render what is missing, showing progress and the rate."""
    console = Console(stderr=True)
    open_jobs = [job for job in jobs if not job[0].exists()]
    console.print(f"{len(jobs)} shards, {len(jobs) - len(open_jobs)} of them already there")
    started = time.monotonic()
    rendered = 0
    columns = (TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=sum(len(job[1]) for job in open_jobs))
        for count in written(open_jobs, workers):
            rendered += count
            progress.update(bar, completed=rendered)
    elapsed_s = time.monotonic() - started
    console.print(f"{rendered} pictures in {elapsed_s:.0f} s: {rendered / elapsed_s:.1f} a second")


def written(jobs: list[Job], workers: int) -> Iterator[int]:
    """How many pictures each shard took, as they are done, in other processes.

    The error of one ends it: the shards that nobody has begun are not waited for.
    """
    # Forked children of a process that has cast rays hang in Embree's threads: start fresh ones.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        for done in as_completed([pool.submit(write_shard, *job) for job in jobs]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m cloudytools.scenes", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many pictures (default 1000)")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", type=Path, help="folder for shards; those already there are kept")
    target.add_argument("--sheet", type=Path, help="write a contact sheet (PNG) instead of shards")
    parser.add_argument(
        "--size", type=_size, default=(320, 192), help="WIDTHxHEIGHT (default 320x192)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the first picture")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    return parser


def _size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT as two numbers of at least 16 px."""
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not WIDTHxHEIGHT, such as 320x192"
        ) from error
    if min(width, height) < 16:
        raise argparse.ArgumentTypeError(f"{text!r}: both sides must be at least 16 px")
    return width, height


if __name__ == "__main__":
    sys.exit(main())
