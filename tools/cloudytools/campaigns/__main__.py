"""Campaigns: python -m cloudytools.campaigns NAME."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from cloudytools.campaigns.told import progress

_EPILOG = """\
campaigns:
  kill    SIGKILL a recorder with fsync at random moments; every chunk on the disk must be there
  damage  truncations, flipped bits, holes, stray bytes: a clear answer, under 512 MB, never a lie
  again   drives recorded and made anew, so many frames of them: every message byte by byte
  batch   `process` by one worker, by two, by two of which one is killed: the same digests, how soon

examples:
  python -m cloudytools.campaigns kill --times 200
  python -m cloudytools.campaigns damage --times 1000 --seed 2
  python -m cloudytools.campaigns again ../shared/data --times 10000 --journal again.jsonl
  python -m cloudytools.campaigns batch ../shared/data

A campaign of seeing again takes hours: with --journal it goes on where it was cut off.

Exit code: 0 when every promise held, 1 when not.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one campaign and say what it came to."""
    parser = argparse.ArgumentParser(
        prog="python -m cloudytools.campaigns",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=("kill", "damage", "again", "batch", "victim"))
    parser.add_argument(
        "path",
        nargs="?",
        type=Path,
        help="again, batch: a drive or a folder of drives; victim: the file to write",
    )
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--journal", type=Path, metavar="FILE", help="again: a line of JSON for each drive done"
    )
    chosen = parser.parse_args(arguments)
    if chosen.name == "victim":
        if chosen.path is None:
            parser.error("victim needs the file to write")
        from cloudytools.campaigns.kill import victim

        victim(chosen.path)
    with tempfile.TemporaryDirectory() as folder:
        if chosen.name == "again":
            return _again(chosen.times, Path(folder), chosen.path, chosen.journal)
        if chosen.name == "batch":
            return _batch(Path(folder), chosen.path)
        run = _kill if chosen.name == "kill" else _damage
        return run(chosen.times, Path(folder), chosen.seed)


def _kill(times: int, folder: Path, seed: int) -> int:
    from cloudytools.campaigns.kill import kill

    with progress("kills") as tell:
        outcome = kill(times, folder, seed, tell)
    print(
        f"{outcome.kills} kills: {outcome.promised} frames were on the disk by a recorder's word, "
        f"{outcome.recovered} recovered; {outcome.cut} files ended within a chunk"
    )
    return _ended(outcome.wrong, sound=outcome.sound)


def _damage(times: int, folder: Path, seed: int) -> int:
    from cloudytools.campaigns.damage import damage

    with progress("damaged files") as tell:
        outcome = damage(times, folder, seed, tell)
    verdicts = ", ".join(f"{count} {name}" for name, count in outcome.verdicts.most_common())
    print(
        f"{outcome.cases} damaged files: {verdicts}; {outcome.saved} of {outcome.held} messages "
        f"saved; at most {outcome.peak_mb:.0f} MB"
    )
    return _ended(outcome.wrong, sound=outcome.sound)


def _again(times: int, folder: Path, place: Path | None, journal: Path | None) -> int:
    from cloudytools.campaigns.again import Journal, again, drives_in

    with progress("frames") as tell:
        outcome = again(times, folder, drives_in(place), tell, journal=Journal(journal))
    print(
        f"{outcome.frames} frames seen again: {outcome.identical} of {outcome.messages} messages "
        f"the same, byte by byte"
    )
    return _ended(outcome.wrong, sound=outcome.sound)


def _batch(folder: Path, place: Path | None) -> int:
    from cloudytools.campaigns.again import drives_in
    from cloudytools.campaigns.batch import batch

    with progress("drives processed") as tell:
        outcome = batch(drives_in(place), folder, tell)
    seconds = ", ".join(f"{each:.1f} s" for each in outcome.seconds)
    print(
        f"{outcome.drives} drives, {outcome.frames} frames, by 1 worker, 2, and 2 of which one was "
        f"killed: {seconds}; two were {outcome.ratio:.2f} times as fast as one"
    )
    return _ended(outcome.wrong, sound=outcome.sound)


def _ended(wrong: list[str], *, sound: bool) -> int:
    for line in wrong[:20]:
        print(f"wrong: {line}")
    print("every promise held" if sound else f"{len(wrong)} promises broken")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
