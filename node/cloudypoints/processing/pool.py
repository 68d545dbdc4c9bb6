"""Workers: processes of this machine, or Ray's anywhere. A killed one's drive is done again."""

from __future__ import annotations

import contextlib
import os
import platform
import queue
import socket
import subprocess
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cloudypoints.errors import EndpointError, MissingExtra
from cloudypoints.processing.drive import Job, Outcome, process_drive
from cloudypoints.processing.jobs import keep, load_outcome, refusal
from cloudypoints.processing.worker import COMMAND, dumps, outcome_from

_ATTEMPTS = 3  # for a drive whose workers are killed
_REACH_S = 5.0  # for a cluster to answer

Progress = Callable[[Job, int], None]


@dataclass(frozen=True, slots=True)
class Pool:
    """Who does the work."""

    workers: int = 1
    ray: str = ""  # address of a cluster, or `local`; "": processes of this machine


def process(
    jobs: Sequence[Job], pool: Pool, progress: Progress = lambda job, frames: None
) -> Generator[Outcome]:
    """Outcomes as they come; drives that were done before are not done again.

    Those whose recordings may not be written fail first, and nothing is kept of that.
    Closing it kills the workers. `progress` is called from several threads.
    """
    open_jobs = []
    for job in jobs:
        job.out.parent.mkdir(parents=True, exist_ok=True)
        refused = refusal(job)
        done = load_outcome(job)
        if refused:
            yield Outcome(job.source, str(job.out), job.key(), ok=False, error=refused)
        elif done is None:
            open_jobs.append(job)
        else:
            yield done
    done_by = _by_ray(open_jobs, pool) if pool.ray else _by_processes(open_jobs, pool, progress)
    for job, outcome in done_by:
        keep(job, outcome)
        yield outcome


def _by_processes(
    jobs: Sequence[Job], pool: Pool, progress: Progress
) -> Iterator[tuple[Job, Outcome]]:
    """A thread for each worker, which takes job after job."""
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    done: queue.SimpleQueue[tuple[Job, Outcome]] = queue.SimpleQueue()
    stop = threading.Event()
    workers = [_Worker(waiting, done, stop, progress) for _ in range(min(pool.workers, len(jobs)))]
    for worker in workers:
        worker.start()
    try:
        for _ in jobs:
            yield done.get()
    finally:
        stop.set()
        for worker in workers:
            worker.end()


class _Worker(threading.Thread):
    """Ends when there are no more jobs, or when it is told to: its process is killed then."""

    def __init__(
        self,
        waiting: queue.SimpleQueue[Job],
        done: queue.SimpleQueue[tuple[Job, Outcome]],
        stop: threading.Event,
        progress: Progress,
    ) -> None:
        super().__init__(name="worker")
        self._waiting = waiting
        self._done = done
        self._stop_asked = stop
        self._progress = progress
        self._process: subprocess.Popen[str] | None = None

    def run(self) -> None:
        """Job after job."""
        while not self._stop_asked.is_set():
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                return
            self._done.put((job, self._do(job)))

    def end(self) -> None:
        """Kill what runs, and wait."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        self.join()

    def _do(self, job: Job) -> Outcome:
        """Until there is an outcome; a worker that dies without one is replaced."""
        code = 0
        for attempt in range(1, _ATTEMPTS + 1):
            code, outcome = self._attempt(job)
            if outcome is not None:
                return replace(outcome, attempts=attempt)
            if self._stop_asked.is_set():
                break
        said = f"its worker ended {_ATTEMPTS} times without a word (code {code})"
        return Outcome(
            job.source, str(job.out), job.key(), ok=False, error=said, attempts=_ATTEMPTS
        )

    def _attempt(self, job: Job) -> tuple[int, Outcome | None]:
        with subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
        ) as process:
            self._process = process
            if self._stop_asked.is_set():
                process.kill()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(dumps(job) + "\n")
                process.stdin.close()
            except BrokenPipeError:
                return process.wait(), None  # killed before it had read
            outcome = None
            for line in process.stdout:
                with contextlib.suppress(ValueError):  # half a line of one that was killed
                    frames, outcome = outcome_from(line)
                    self._progress(job, frames)
        return process.returncode, outcome


def _by_ray(jobs: Sequence[Job], pool: Pool) -> Iterator[tuple[Job, Outcome]]:
    """Tasks of Ray, which does again what a dead worker left. Raises MissingExtra."""
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("processing on a cluster", "fleet") from error
    _check_cluster(pool.ray)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    local: dict[str, Any] = {"num_cpus": pool.workers, "include_dashboard": False}
    try:
        ray.init(pool.ray, log_to_driver=False, **(local if pool.ray == "local" else {}))
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise EndpointError(f"{pool.ray}: no Ray cluster there: {error}") from error
    try:
        see = ray.remote(num_cpus=1, max_retries=_ATTEMPTS - 1)(_process_there)
        running = {see.remote(job, str(Path.cwd())): job for job in jobs}
        while running:
            (ready,), _ = ray.wait(list(running), num_returns=1)
            job = running.pop(ready)
            yield job, _result(ray, ready, job)
    finally:
        ray.shutdown()


def _check_cluster(address: str) -> None:
    """Whether anybody is there: Ray itself finds out after minutes. Raises EndpointError."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        return  # `auto` and `local` are Ray's to tell
    try:
        socket.create_connection((host, int(port)), _REACH_S).close()
    except (OSError, OverflowError) as error:
        raise EndpointError(f"{address}: no Ray cluster there: {error}") from error


def _process_there(job: Job, folder: str) -> Outcome:
    """On another machine, where the paths of the job begin at the same folder."""
    try:
        os.chdir(folder)
    except OSError as error:
        said = f"{platform.node()}: cannot see {folder}: {error.strerror}"
        return Outcome(job.source, str(job.out), job.key(), ok=False, error=said)
    return process_drive(job, made=partial(keep, job))


def _result(ray: Any, ready: Any, job: Job) -> Outcome:
    try:
        outcome: Outcome = ray.get(ready)
    except ray.exceptions.RayError as error:
        said = str(error).strip().splitlines()[0]
        return Outcome(job.source, str(job.out), job.key(), ok=False, error=f"its worker: {said}")
    return replace(outcome, key=job.key())  # clocks of two machines may round otherwise
