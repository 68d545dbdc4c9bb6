"""RTSP against a real server (GStreamer's), through the outages that real networks have."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from cloudypoints.capture import CaptureSettings, Source, open_source
from cloudypoints.capture.live import LiveSource
from cloudypoints.errors import SourceEnded, SourceError
from cloudypoints.timing import monotonic_s
from film import film, number_of
from test_capture_packets import decoded

SYSTEM_PYTHON = "/usr/bin/python3"
SERVER = Path(__file__).with_name("rtsp_server.py")
PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
)
QUICK = CaptureSettings(open_timeout_s=10, read_timeout_s=1, max_reconnect_wait_s=0.1)


class Server:
    """The server in a process of its own; it ends with its standard input, so with us at last."""

    def __init__(self, video: Path, *, port: int = 0, login: str = "") -> None:
        arguments = [str(video), "--port", str(port), *(["--login", login] if login else [])]
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, str(SERVER), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline().removeprefix("port "))

    def url(self, login: str = "", path: str = "/street") -> str:
        return f"rtsp://{login}127.0.0.1:{self.port}{path}"

    def freeze(self) -> None:
        """Nothing answers, and nothing is refused: a cable pulled."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> str:
        """Everything that it said since it started."""
        self._process.kill()
        said, _ = self._process.communicate(timeout=10)
        return said


@pytest.fixture(scope="session")
def needs_server() -> None:
    """Skips where the packages are missing, but never in CI, which installs them."""
    check = "import gi; gi.require_version('GstRtspServer', '1.0')"
    command = [SYSTEM_PYTHON, "-c", check]
    present = os.path.exists(SYSTEM_PYTHON) and not subprocess.run(command, check=False).returncode
    if not present and "CI" in os.environ:
        pytest.fail(f"CI must have {PACKAGES}")
    if not present:
        pytest.skip(f"no RTSP server: apt install {PACKAGES}")


@pytest.fixture(scope="session")
def video(tmp_path_factory, needs_server) -> Path:
    """A minute at 20 Hz."""
    return film(tmp_path_factory.mktemp("rtsp") / "street.mkv", range(1000), fps=20, gop=10)


@pytest.fixture
def server(video) -> Iterator[Server]:
    server = Server(video)
    yield server
    server.thaw()
    server.stop()


def wait_for(holds: Callable[[], bool], limit_s: float = 10.0) -> bool:
    """Whether it comes to hold in time."""
    pause = threading.Event()
    end_s = monotonic_s() + limit_s
    while not holds() and monotonic_s() < end_s:
        pause.wait(0.02)
    return holds()


class Reader:
    """Reads a source in a thread until it ends, and keeps what it learned."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.indices: list[int] = []
        self.ending: SourceError | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.source.close()
        self.join()

    def join(self) -> None:
        self._thread.join(5)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while True:
                self.indices.append(self.source.read().index)
        except SourceError as error:
            self.ending = error


def test_frames_arrive_over_tcp_fresh_and_in_order(server):
    with closing(open_source(server.url(), QUICK)) as source:
        source.read()
        frames = [source.read() for _ in range(20)]
    numbers = [number_of(frame.picture) for frame in frames]
    assert numbers == sorted(set(numbers))
    assert {frame.clock for frame in frames} == {"host"}
    assert np.diff([frame.stamp_ns for frame in frames]).min() > 0
    assert "transport RTP/AVP/TCP" in server.stop()


@pytest.mark.slow
def test_packets_pass_whole_also_of_pictures_that_gave_way_to_newer_ones(server):
    """A reader who takes every picture late loses most of them, and no packet."""
    pause = threading.Event()
    with closing(open_source(server.url(), QUICK)) as source:
        assert isinstance(source, LiveSource)
        source.pass_packets()
        frames = []
        for _ in range(8):
            frames.append(source.read())
            pause.wait(0.2)
    packets = source.tape.take()
    pictures = {m.index: p for (m, _), p in zip(packets, decoded(packets), strict=True)}
    assert np.diff([moment.index for moment, _ in packets]).tolist() == [1] * (len(packets) - 1)
    assert packets[0][1].key
    assert len(frames) < len(packets) / 2
    assert all(np.array_equal(frame.picture, pictures[frame.index]) for frame in frames)
    stamps = {moment.index: (moment.stamp_ns, moment.clock) for moment, _ in packets}
    assert all(stamps[frame.index] == (frame.stamp_ns, frame.clock) for frame in frames)
    assert [number_of(p) for p in pictures.values()] == sorted(map(number_of, pictures.values()))


@pytest.mark.slow
def test_pictures_come_at_the_cameras_rate_without_a_backlog(server):
    """Once running, pictures come as fast as they are taken: none is held back."""
    with closing(open_source(server.url(), QUICK)) as source:
        started = [source.read() for _ in range(20)][-1]
        later = [source.read() for _ in range(20)][-1]
    camera_s = (number_of(later.picture) - number_of(started.picture)) / 20
    assert (later.stamp_ns - started.stamp_ns) / 1e9 == pytest.approx(camera_s, abs=0.15)


@pytest.mark.slow
def test_udp_is_used_where_asked_for(server):
    settings = QUICK.model_copy(update={"rtsp_transport": "udp"})
    with closing(open_source(server.url(), settings)) as source:
        source.read()
    assert re.search(r"transport RTP/AVP(/UDP)?;unicast;client_port", server.stop())


@pytest.mark.slow
def test_the_senders_clock_is_given_where_asked_for(server):
    settings = QUICK.model_copy(update={"stamps": "sender"})
    with closing(open_source(server.url(), settings)) as source:
        assert wait_for(lambda: source.read().clock == "sender", limit_s=20)
        frames = [source.read() for _ in range(20)]
    ages_ms = [(frame.captured_ns - frame.stamp_ns) / 1e6 for frame in frames]
    assert all(-50 < age < 500 for age in ages_ms)  # both clocks are this machine's
    assert np.diff([frame.stamp_ns for frame in frames]) == pytest.approx(50_000_000, abs=5_000_000)


def test_a_frozen_server_is_noticed_and_streams_again_when_it_thaws(server):
    source = open_source(server.url(), QUICK.model_copy(update={"open_timeout_s": 3}))
    with Reader(source) as reader:
        assert wait_for(lambda: len(reader.indices) > 5)
        server.freeze()
        assert wait_for(lambda: source.faults["reconnects"] > 0, QUICK.read_timeout_s + 1)
        assert source.state == "reconnecting"
        so_far = len(reader.indices)
        server.thaw()
        assert wait_for(lambda: len(reader.indices) > so_far + 5)
        assert source.state == "streaming"
        assert source.faults["outages"] == 1
    assert reader.indices == sorted(set(reader.indices))


@pytest.mark.slow
def test_a_server_that_is_started_anew_is_found_again(server, video):
    source = open_source(server.url(), QUICK)
    with Reader(source) as reader:
        assert wait_for(lambda: len(reader.indices) > 5)
        server.stop()
        assert wait_for(lambda: source.faults["reconnects"] > 3)
        again = Server(video, port=server.port)
        so_far = len(reader.indices)
        assert wait_for(lambda: len(reader.indices) > so_far + 5)
        assert source.state == "streaming"
        again.stop()


def test_closing_during_a_stall_takes_effect_at_once(server):
    """The time-outs are long here: nothing but the interruption can end it."""
    source = open_source(server.url(), CaptureSettings(open_timeout_s=60, read_timeout_s=60))
    reader = Reader(source)
    with reader:
        assert wait_for(lambda: len(reader.indices) > 2)
        server.freeze()
        started_s = monotonic_s()
        source.close()
        reader.join()
        assert monotonic_s() - started_s < 1
    assert isinstance(reader.ending, SourceEnded)
    assert "owner" not in " ".join(thread.name for thread in threading.enumerate())


def test_a_server_that_is_gone_at_the_start_is_a_clear_error(server):
    server.stop()
    settings = QUICK.model_copy(update={"open_timeout_s": 1})
    started_s = monotonic_s()
    source = open_source(server.url(), settings)
    with closing(source), pytest.raises(SourceError, match=r"no picture within 1 s.*refused"):
        source.read()
    assert monotonic_s() - started_s < 2


def test_a_server_that_is_frozen_at_the_start_is_a_clear_error(server):
    server.freeze()
    settings = QUICK.model_copy(update={"open_timeout_s": 1})
    started_s = monotonic_s()
    source = open_source(server.url(), settings)
    with closing(source), pytest.raises(SourceError, match="no picture within 1 s"):
        source.read()
    assert monotonic_s() - started_s < 2


def test_an_unknown_stream_is_a_clear_error_at_once(server):
    source = open_source(server.url(path="/nowhere"), QUICK)
    with closing(source), pytest.raises(SourceError, match="404"):
        source.read()


def test_a_login_is_used_and_never_told(video, caplog):
    server = Server(video, login="joe:secret")
    with closing(open_source(server.url("joe:secret@"), QUICK)) as source:
        source.read()
        assert source.name == server.url("***@")
    wrong = open_source(server.url("joe:guessed@"), QUICK)
    with closing(wrong), pytest.raises(SourceError, match="401") as caught:
        wrong.read()
    server.stop()
    said = f"{caplog.text} {caught.value} {caught.value.__cause__} {caught.value.__context__}"
    assert "guessed" not in said
    assert "secret" not in said
