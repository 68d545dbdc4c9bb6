"""Downloads against a real server on the loopback that cuts off, stalls and lies."""

import hashlib
from itertools import pairwise

import numpy as np
import pytest

from cloudypoints.download import Remote, download
from cloudypoints.errors import SourceError
from file_server import FileServer

CONTENT = np.random.default_rng(0).integers(0, 256, 3_000_000, np.uint8).tobytes()
HALF = "bytes=1441792-"  # what half of it is in whole pieces of 64 KiB: 22 of them
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


def fetch(server, path, digest=MD5):
    """Download with no waits between tries; how many waits there would have been."""
    waits = []
    remote = Remote(f"{server.url}/file", digest, patience_s=0.3, wait=waits.append)
    steps = list(download(remote, path))
    return waits, steps


@pytest.fixture
def target(tmp_path):
    return tmp_path / "new" / "file.tar.gz"


def test_a_file_comes_whole_and_says_how_far_it_is(target):
    with FileServer(CONTENT) as server:
        waits, steps = fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert waits == []
    assert [path.name for path in target.parent.iterdir()] == ["file.tar.gz"]


def test_a_line_that_is_cut_again_and_again_costs_a_few_bytes_twice(target):
    with FileServer(CONTENT, ("cut",) * 4) as server:
        fetch(server, target)
        starts = [int(asked.removeprefix("bytes=").rstrip("-") or 0) for asked in server.asked]
    assert target.read_bytes() == CONTENT
    #  each try brings half of what was left, but for the last piece of 64 KiB
    pairs = list(pairwise(starts))
    assert len(pairs) == 4
    assert all(0 <= a + (len(CONTENT) - a) // 2 - b < 65536 for a, b in pairs)


def test_a_server_that_falls_silent_is_asked_again(target):
    with FileServer(CONTENT, ("stall",)) as server:
        fetch(server, target)
        assert server.asked[1] == HALF
    assert target.read_bytes() == CONTENT


def test_what_a_killed_download_left_is_gone_on_with(target):
    with FileServer(CONTENT, ("cut", "404")) as server:
        with pytest.raises(SourceError, match="404"):
            fetch(server, target)
        assert not target.exists()
        fetch(server, target)
        assert server.asked == ["", HALF, HALF]
    assert target.read_bytes() == CONTENT


def test_one_that_was_stopped_after_its_last_byte_is_only_checked(target):
    with FileServer(CONTENT, ("cut", "404")) as server:
        with pytest.raises(SourceError):
            fetch(server, target)
        target.with_name(f".{target.name}.part").write_bytes(CONTENT)
        fetch(server, target)
        assert server.asked[2:] == [f"bytes={len(CONTENT)}-"]
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges_sends_it_from_the_start(target):
    with FileServer(CONTENT, ("cut", "deaf")) as server:
        fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_fetched_anew(target):
    other = CONTENT[::-1]
    with FileServer(CONTENT, ("cut", "404")) as server:
        with pytest.raises(SourceError):
            fetch(server, target)
        server.content, server.tag = other, '"two"'
        fetch(server, target, f"sha256:{hashlib.sha256(other).hexdigest()}")
    assert target.read_bytes() == other


@pytest.mark.parametrize(("tag", "digest"), [("", MD5), ('W/"weak"', MD5)])
def test_without_a_version_the_digest_is_trusted_to_show_a_mistake(target, tag, digest):
    with FileServer(CONTENT, ("cut",), tag) as server:
        fetch(server, target, digest)
        assert server.asked[1] == HALF
    assert target.read_bytes() == CONTENT


def test_with_neither_version_nor_digest_it_begins_anew(target):
    with FileServer(CONTENT, ("cut",), "") as server:
        fetch(server, target, "")
        assert server.asked == ["", ""]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("plan", "fault"),
    [
        (("404",), "404 Not Found"),
        (("page",), "a web page came instead of the file"),
        (("cut", "lie"), r"asked from byte 1441792, got 'bytes 1441793-"),
    ],
)
def test_a_server_that_refuses_or_lies_is_refused_at_once(target, plan, fault):
    with FileServer(CONTENT, plan) as server, pytest.raises(SourceError, match=fault):
        fetch(server, target)
    assert not target.exists()


def test_another_digest_is_refused_and_what_came_is_thrown_away(target):
    with FileServer(CONTENT[:-1] + b"!") as server:
        with pytest.raises(SourceError, match=f"md5 .* not {MD5[4:]}: fetch it anew"):
            fetch(server, target)
        assert not [path for path in target.parent.iterdir() if path.suffix == ".part"]
        server.content = CONTENT
        fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_five_tries_that_bring_nothing_are_enough(target):
    with FileServer(CONTENT, ("503",) * 9) as server, pytest.raises(SourceError, match="5 tries"):
        fetch(server, target)
    assert len(server.asked) == 5


def test_a_file_that_is_there_is_checked_and_not_fetched(target):
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    with FileServer(CONTENT) as server:
        assert fetch(server, target) == ([], [])
        target.write_bytes(b"something else")
        with pytest.raises(SourceError, match="is there but has the md5"):
            fetch(server, target)
        assert server.asked == []


def test_nobody_there_is_an_error_with_the_address(target):
    with FileServer(CONTENT) as server:
        url = server.url
    remote = Remote(f"{url}/file", patience_s=0.3, wait=lambda _: None)
    with pytest.raises(SourceError, match=f"{url}/file: 5 tries in a row brought nothing"):
        list(download(remote, target))


def test_no_room_is_said_before_the_first_byte(target, monkeypatch):
    class _Full:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda _: _Full)
    with FileServer(CONTENT) as server, pytest.raises(SourceError, match=r"0\.0 GB are to come"):
        fetch(server, target)
