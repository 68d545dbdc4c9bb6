"""A recorder beside a node: a process of its own, which cannot hold the node back."""

from __future__ import annotations

import select
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from cloudypoints.publisher import Publisher
from cloudypoints.timing import Deadline

_READY_S = 10.0  # to start Python, load the packages and be connected
_END_S = 15.0  # to write what is left


class RecorderBeside:
    """`cloudypoints record` on this node, from `start` until the `with` block is left.

    Leave it after the node has ended, so that the last messages are in the file. If it cannot
    record it says so itself, and the node goes on without it.
    """

    def __init__(self, path: Path, *options: str) -> None:
        """`options` are those of `cloudypoints record`."""
        self._path = path
        self._options = options
        self._process: subprocess.Popen[str] | None = None

    def start(self, publisher: Publisher) -> None:
        """Start it and wait until it hears the node, for a few seconds at most."""
        command = [sys.executable, "-m", "cloudypoints", "record", str(self._path)]
        command += ["-e", publisher.endpoint, "--bulk-endpoint", publisher.bulk_endpoint]
        self._process = subprocess.Popen(
            [*command, *self._options, "--quiet", "--until-eof"],
            stdin=subprocess.PIPE,  # it ends with this process, whatever ends that
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,  # Ctrl-C is for the node, and then the recorder writes the rest
        )
        limit = Deadline(_READY_S)
        while not limit.over and self._process.poll() is None:
            assert self._process.stdout is not None
            if select.select([self._process.stdout], [], [], 0.1)[0]:
                print(self._process.stdout.readline(), end="")
                return

    def __enter__(self) -> RecorderBeside:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is None:
            return
        try:
            said, _ = self._process.communicate(timeout=_END_S)  # closes its input first
        except subprocess.TimeoutExpired:
            self._process.kill()
            said, _ = self._process.communicate()
            said += (
                f"{self._path}: the recorder did not end; `recording check` says what is in it\n"
            )
        print(said, end="")
