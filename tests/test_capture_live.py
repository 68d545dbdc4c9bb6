"""Live sources: the newest picture, outages survived, and a close that always takes effect."""

from __future__ import annotations

import http.server
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import numpy as np
import psutil
import pytest

from cloudypoints.capture import CaptureSettings, open_source
from cloudypoints.capture.feed import Shot, Unusable
from cloudypoints.capture.frame import no_faults
from cloudypoints.capture.live import LiveSource
from cloudypoints.errors import SourceEnded, SourceError
from cloudypoints.timing import monotonic_s, utc_ns
from film import film, number_of, numbered

QUICK = CaptureSettings(open_timeout_s=5, read_timeout_s=0.5, max_reconnect_wait_s=0.05)


class Spool:
    """A feed that gives these numbers, does what it is told before some of them, then breaks."""

    interval_ns = 40_000_000

    def __init__(self, numbers: range, before: dict[int, Callable[[], object]] | None = None):
        self.numbers = numbers
        self.before = before or {}
        self.closed = False

    def __iter__(self) -> Iterator[Shot]:
        for number in self.numbers:
            self.before.get(number, bool)()
            yield Shot(number, partial(numbered, number), arrived_ns=utc_ns())
        raise SourceError("camera: lost")

    def close(self) -> None:
        self.closed = True


def live(open_feed, settings=QUICK):
    return LiveSource("camera", open_feed, settings, faults=no_faults())


def lossless(open_feed):
    """Every picture is waited for, so that a test can count them."""
    return live(open_feed, QUICK.model_copy(update={"mode": "recorded"}))


def test_outages_are_survived_and_the_numbers_go_on():
    spools = [Spool(range(3)) for _ in range(3)]
    waiting = iter(spools)
    with closing(lossless(lambda: next(waiting, Spool(range(1))))) as source:
        frames = [source.read() for _ in range(9)]
    assert [frame.index for frame in frames] == list(range(9))
    assert source.faults["outages"] >= 2
    assert source.faults["reconnects"] >= 2
    assert [spool.closed for spool in spools] == [True] * 3


class Packed(Spool):
    """One whose packets can be passed on."""

    def pass_packets(self) -> None:
        """They ride with their pictures."""


def test_packets_that_cannot_be_passed_on_are_refused_at_once():
    source = lossless(lambda: Spool(range(3)))
    source.pass_packets()
    with closing(source), pytest.raises(SourceError, match="do not come as a video of packets"):
        source.read()
    assert source.faults["reconnects"] == 0


def test_a_camera_that_comes_back_without_packets_is_seen_all_the_same(caplog):
    waiting = iter([Packed(range(3))])
    source = lossless(lambda: next(waiting, Spool(range(3))))
    source.pass_packets()
    with closing(source):
        frames = [source.read() for _ in range(6)]
    assert [frame.index for frame in frames] == list(range(6))
    assert "do not come as a video of packets" in caplog.text


def test_live_frames_are_stamped_by_the_hosts_clock_and_rise():
    before_ns = utc_ns()
    with closing(lossless(lambda: Spool(range(100)))) as source:
        frames = [source.read() for _ in range(50)]
    stamps_ns = [frame.stamp_ns for frame in frames]
    assert {frame.clock for frame in frames} == {"host"}
    assert np.diff(stamps_ns).min() > 0
    assert before_ns <= stamps_ns[0]
    assert stamps_ns[-1] <= utc_ns()


def test_a_slow_reader_gets_the_newest_and_the_lost_are_counted():
    first_was_read, all_given, go_on = (threading.Event() for _ in range(3))
    spool = Spool(range(20), {1: first_was_read.wait, 18: all_given.set, 19: go_on.wait})
    with closing(live(lambda: spool)) as source:
        assert source.read().index == 0
        first_was_read.set()
        assert all_given.wait(5)
        assert wait_for(lambda: source.faults["overrun"] == 17)
        newest = source.read()
        go_on.set()
    assert number_of(newest.picture) == newest.index == 18


def test_a_camera_that_never_comes_is_an_error_after_the_time_to_open(caplog):
    def refuse() -> Spool:
        raise SourceError("camera: connection refused")

    source = live(refuse, QUICK.model_copy(update={"open_timeout_s": 0.3}))
    with closing(source), pytest.raises(SourceError, match=r"no picture within 0\.3 s.*refused"):
        source.read()
    assert source.state == "failed"
    assert source.faults["reconnects"] >= 2
    assert source.faults["outages"] == 0
    assert caplog.text.count("trying again") == 1


def test_attempts_become_rarer():
    def refuse() -> Spool:
        raise SourceError("camera: connection refused")

    source = live(refuse, CaptureSettings(open_timeout_s=1.4))
    with closing(source), pytest.raises(SourceError):
        source.read()
    # At 0 s, after 0.5 s and after 1.5 s, each up to a quarter earlier.
    assert source.faults["reconnects"] in (2, 3)


def test_what_trying_again_cannot_mend_is_an_error_at_once():
    def unusable() -> Spool:
        raise Unusable("camera: 401 Unauthorized")

    started_s = monotonic_s()
    source = live(unusable)
    with closing(source), pytest.raises(SourceError, match="401"):
        source.read()
    assert monotonic_s() - started_s < 2
    assert source.state == "failed"


def test_an_outage_ends_a_source_that_is_not_to_reconnect():
    source = live(lambda: Spool(range(1)), QUICK.model_copy(update={"reconnect": False}))
    with closing(source):
        source.read()
        with pytest.raises(SourceError, match="lost"):
            source.read()
    assert source.state == "failed"


def test_closing_wakes_a_reader_of_a_camera_that_hangs():
    let_go = threading.Event()
    source = live(lambda: Spool(range(9), {0: let_go.wait}))
    ended: list[type[Exception]] = []
    reader = threading.Thread(target=read_until_it_ends, args=(source, ended))
    reader.start()
    started_s = monotonic_s()
    source.close()
    reader.join(2)
    assert not reader.is_alive()
    assert monotonic_s() - started_s < 1.5
    assert ended == [SourceEnded]
    let_go.set()
    source.close()


def read_until_it_ends(source, ended: list[type[Exception]]) -> None:
    try:
        while True:
            source.read()
    except SourceError as error:
        ended.append(type(error))


def test_closing_a_source_that_was_never_read_starts_nothing():
    source = live(lambda: Spool(range(1)))
    source.close()
    source.close()
    assert source.state == "ended"
    with pytest.raises(SourceEnded):
        source.read()


def test_a_camera_whose_driver_sleeps_is_not_called_streaming():
    let_go = threading.Event()
    spool = Spool(range(2), {1: let_go.wait})
    source = live(lambda: spool, QUICK.model_copy(update={"read_timeout_s": 0.05}))
    with closing(source):
        source.read()
        assert wait_for(lambda: source.state == "reconnecting")
        let_go.set()


def wait_for(holds: Callable[[], bool], limit_s: float = 10.0) -> bool:
    """Whether it comes to hold in time."""
    pause = threading.Event()
    end_s = monotonic_s() + limit_s
    while not holds() and monotonic_s() < end_s:
        pause.wait(0.02)
    return holds()


def test_a_dead_port_tried_again_and_again_leaks_nothing():
    settings = QUICK.model_copy(update={"open_timeout_s": 60, "max_reconnect_wait_s": 0.001})
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    process = psutil.Process()
    source = open_source(f"rtsp://127.0.0.1:{port}/street", settings)
    reader = threading.Thread(target=read_until_it_ends, args=(source, []))
    reader.start()
    assert wait_for(lambda: source.faults["reconnects"] > 20)
    files, threads, rss = process.num_fds(), process.num_threads(), process.memory_info().rss
    assert wait_for(lambda: source.faults["reconnects"] > 220, limit_s=30)
    assert process.num_fds() <= files + 1
    assert process.num_threads() <= threads + 1
    assert process.memory_info().rss < rss + 8_000_000
    source.close()
    reader.join(2)
    assert not reader.is_alive()


# --- over HTTP, with a real server


class Site(http.server.ThreadingHTTPServer):
    """Serves a film at /street.ts; stops in the middle at /stall.ts; never answers at /silent."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.content = content
        self.let_go = threading.Event()
        self.asked = 0

    def url(self, path: str) -> str:
        return f"http://joe:secret@127.0.0.1:{self.server_address[1]}{path}"


class Page(http.server.BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.asked += 1
        getattr(self, f"serve_{self.path[1:].partition('.')[0]}", self.missing)()

    def serve_street(self) -> None:
        self.begin(len(self.server.content))
        self.wfile.write(self.server.content)

    def serve_stall(self) -> None:
        self.begin(len(self.server.content))
        self.wfile.write(self.server.content[: len(self.server.content) // 2])
        self.server.let_go.wait(30)

    def serve_silent(self) -> None:
        self.server.let_go.wait(30)

    def missing(self) -> None:
        self.send_error(404)

    def begin(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.send_header("Content-Type", "video/mp2t")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def site(tmp_path) -> Iterator[Site]:
    content = film(tmp_path / "street.ts", range(100)).read_bytes()
    with Site(content) as site:
        thread = threading.Thread(target=site.serve_forever, args=(0.02,))
        thread.start()
        yield site
        site.let_go.set()
        site.shutdown()
        thread.join(5)


def test_http_is_live_unless_the_user_calls_it_recorded(site):
    url = site.url("/street.ts")
    assert open_source(url, QUICK).live
    recorded = open_source(url, CaptureSettings(mode="recorded", pace=0))
    with closing(recorded):
        frames = [recorded.read() for _ in range(100)]
        with pytest.raises(SourceEnded):
            recorded.read()
    assert not recorded.live
    assert [number_of(frame.picture) for frame in frames] == list(range(100))
    assert {frame.clock for frame in frames} == {"media"}


def test_a_live_stream_over_http_begins_again_when_it_ends(site):
    with closing(open_source(site.url("/street.ts"), QUICK)) as source:
        assert wait_for(lambda: source.read().index > 0 and source.faults["outages"] > 1)
    assert site.asked > 1


def test_a_recording_that_is_taken_for_live_says_what_to_set(site, caplog):
    with closing(open_source(site.url("/street.ts"), QUICK)) as source:
        assert wait_for(lambda: source.read().index >= 0 and source.faults["outages"] > 0)
    assert 'if it is a recording, set mode = "recorded"' in caplog.text


def test_a_stalled_stream_is_left_within_the_read_timeout(site):
    with closing(open_source(site.url("/stall.ts"), QUICK)) as source:
        source.read()
        assert wait_for(lambda: source.faults["reconnects"] > 0, limit_s=3)


@pytest.mark.parametrize("path", ["/stall.ts", "/silent"])
def test_closing_takes_effect_at_once_while_the_network_stalls(site, path):
    """Time-outs are long here: nothing but the interruption can end it."""
    settings = CaptureSettings(open_timeout_s=60, read_timeout_s=60)
    source = open_source(site.url(path), settings)
    ended: list[type[Exception]] = []
    reader = threading.Thread(target=read_until_it_ends, args=(source, ended))
    reader.start()
    assert wait_for(lambda: site.asked > 0)
    started_s = monotonic_s()
    source.close()
    reader.join(2)
    assert monotonic_s() - started_s < 1
    assert ended == [SourceEnded]
    assert "owner" not in " ".join(thread.name for thread in threading.enumerate())


def test_closing_ends_a_recording_that_is_fetched_while_the_network_stalls(site):
    settings = CaptureSettings(mode="recorded", pace=0, open_timeout_s=60, read_timeout_s=60)
    source = open_source(site.url("/stall.ts"), settings)
    ended: list[type[Exception]] = []
    reader = threading.Thread(target=read_until_it_ends, args=(source, ended))
    reader.start()
    assert wait_for(lambda: source.state == "streaming")
    started_s = monotonic_s()
    source.close()
    reader.join(2)
    assert monotonic_s() - started_s < 1
    assert ended == [SourceEnded]


def test_errors_and_logs_hold_no_credentials(site, caplog):
    caplog.set_level(logging.DEBUG)
    source = open_source(site.url("/nothing.ts"), QUICK)
    with closing(source), pytest.raises(SourceError, match="404") as caught:
        source.read()
    error = caught.value
    said = f"{caplog.text} {source.name} {error} {error.__cause__} {error.__context__}"
    assert "127.0.0.1" in said
    assert "secret" not in said
    assert "joe" not in said


def test_an_unknown_host_is_called_that():
    settings = QUICK.model_copy(update={"open_timeout_s": 0.5})
    source = open_source("http://camera.invalid/street", settings)
    with closing(source), pytest.raises(SourceError, match=r"no host .* camera\.invalid"):
        source.read()
