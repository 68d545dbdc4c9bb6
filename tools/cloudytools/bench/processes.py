"""Other processes: subscribers that report what reached them, and a node run from the shell.

Both are context managers that leave no process behind. For systems with POSIX pipes and signals.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import zmq

from cloudypoints.errors import NoMessage
from cloudypoints.publisher import bulk_beside

_START_S = 60.0  # for a process to say its first word, on a busy machine
_END_S = 10.0


class Reporter:
    """A module of ours as a process: it says `ready`, other words, and at last rows."""

    def __init__(self, module: str, *arguments: str) -> None:
        """Returns when it is ready. Raises NoMessage when it is not."""
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout
        try:
            self.hear("ready")
        except NoMessage:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def has_spoken(self, timeout_s: float = 0.0) -> bool:
        """Whether there is a word to hear within the time."""
        readable, _, _ = select.select([self._output], [], [], timeout_s)
        return bool(readable)

    def hear(self, word: str, timeout_s: float = _START_S) -> None:
        """Wait for this word. Raises NoMessage when it does not come."""
        spoken = self.has_spoken(timeout_s)
        heard = self._output.readline().decode().strip() if spoken else "nothing"
        if heard != word:
            raise NoMessage(f"{self._module}: expected {word!r} in {timeout_s} s, heard {heard!r}")

    def finish(self) -> list[Any]:
        """Close its input; its rows. Raises NoMessage when it failed."""
        output, _ = self._process.communicate(timeout=_START_S)
        if self._process.returncode != 0:
            raise NoMessage(f"{self._module}: ended with code {self._process.returncode}")
        rows: list[Any] = json.loads(output.decode().splitlines()[-1])
        return rows

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill what is left of it; may be called twice."""
        self._process.kill()
        self._process.wait(_END_S)
        for pipe in (self._process.stdin, self._output):
            if pipe is not None:
                pipe.close()


class NodeProcess:
    """`python -m cloudypoints run SOURCE` on free ports, ended with its `with` block."""

    def __init__(
        self, source: str, *options: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self._environment = environment  # None: ours
        self.endpoint = f"tcp://127.0.0.1:{_free_port()}"
        self.bulk_endpoint = bulk_beside(self.endpoint)
        command = ["run", source, "--endpoint", self.endpoint, *options]
        self._command = [sys.executable, "-m", "cloudypoints", *command]
        self._process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """Of the process, once entered."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """By itself: what it had to say is on standard error, which is ours."""
        return self._process.poll() is not None

    def __enter__(self) -> NodeProcess:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, env=self._environment
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_END_S)


def with_bytecode(folder: Path) -> dict[str, str]:
    """An environment whose Python keeps compiled modules, in this folder, whatever ours does."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(folder)}


def _free_port() -> int:
    """A port that nobody has, and its neighbour neither."""
    with zmq.Context() as context, context.socket(zmq.PUB) as first:
        while True:
            port = first.bind_to_random_port("tcp://127.0.0.1", min_port=20000, max_port=60000)
            try:
                with context.socket(zmq.PUB) as second:
                    second.bind(f"tcp://127.0.0.1:{port + 1}")
            except zmq.ZMQError:
                continue
            return port
