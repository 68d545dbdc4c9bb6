"""`record`, `run --record` and `recording` as a person uses them, and as they end."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from cloudypoints import subscribe
from cloudypoints.cli import main
from cloudypoints.recording import Recording
from cloudypoints.recording.repair import COMPLETE, NOTHING, check
from film import film
from onnx_models import card_of, ground_model, saved
from peers import LIMIT_S, RawNode, until
from ports import free_port
from recordings import facts_of, frame, frames, no_file_above, obstacles, record

COMMAND = [sys.executable, "-m", "cloudypoints"]
FRAMES = 60
TOPIC = "status/recorder"


class Street(RawNode):
    """A node that sends frames, 50 a second, from `with` on until it is left; ended by its exit."""

    def __init__(self) -> None:
        super().__init__()
        self.near = threading.Event()  # set: something is in the way from now on
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="street")

    def _run(self) -> None:
        number = 0
        while not self._stopping.wait(0.02):
            self.send(obstacles(number, 2.0 if self.near.is_set() else 20.0))
            for message in frame(number):
                self.send(message)
            number += 1

    def __enter__(self) -> Street:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        super().__exit__()

    @property
    def arguments(self) -> list[str]:
        """Where to record it."""
        return ["-e", self.endpoint, "--bulk-endpoint", self.bulk_endpoint, "--quiet"] + [
            "--status-endpoint",
            f"tcp://127.0.0.1:{free_port()}",
        ]


@pytest.fixture
def street(monkeypatch):
    monkeypatch.setattr(os, "nice", lambda _more: 0)  # it would last for the tests that follow
    with Street() as street:
        yield street


@pytest.fixture
def node(tmp_path):
    """The arguments of a node on a film, and the file that `--record` is to write."""
    drive = film(tmp_path / "street.mp4", range(FRAMES), size_px=(160, 120))
    arguments = ["run", str(drive), "--model", saved(tmp_path, ground_model())]
    arguments += ["-e", f"tcp://127.0.0.1:{free_port()}", "--record", str(tmp_path / "a.mcap")]
    return arguments


def once(condition, act):
    """A thread that does something as soon as it can; to be joined."""

    def run():
        until(condition)
        act()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def has(path, size=50_000):
    return lambda: path.exists() and path.stat().st_size > size


# --- record ---------------------------------------------------------------------------------------


@pytest.fixture
def terminal():
    """What a terminal that closes does, which nohup keeps from its programs."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name
)
def test_a_signal_ends_a_recording_that_is_whole_then(number, street, tmp_path, capsys):
    path = tmp_path / "a.mcap"
    before = signal.getsignal(number)
    ending = once(has(path), lambda: os.kill(os.getpid(), number))
    assert main(["record", str(path), *street.arguments]) == 0
    ending.join()
    said = capsys.readouterr().out
    assert said.splitlines()[0] == f"recording to {path}"
    assert f"{path}: " in said
    assert "0 lost on the way (0 as the buffer was full), 0 not written, 0 not ours" in said
    assert check(path).verdict == COMPLETE
    assert facts_of(path)["ended"] == "ended"
    assert signal.getsignal(number) is before


def test_topics_and_rates_hold(street, tmp_path, capsys):
    path = tmp_path / "a.mcap"
    arguments = [str(path), "obstacles", "depth/front", "--rate", "depth=5", "--seconds", "2"]
    assert main(["record", *arguments, *street.arguments]) == 0
    capsys.readouterr()
    assert main(["recording", "info", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    counts = {topic: row["messages"] for topic, row in told["topics"].items()}
    assert counts.keys() == {"obstacles/front", "depth/front"}
    # Frames are stamped 25 a second: of depth 5 Hz every fifth stays.
    assert counts["depth/front"] == pytest.approx(counts["obstacles/front"] / 5, abs=2)


def test_sigkill_costs_the_open_chunk_and_a_repair_saves_the_rest(street, tmp_path, capsys):
    path, out = tmp_path / "a.mcap", tmp_path / "saved.mcap"
    arguments = ["record", str(path), "--chunk-s", "0.2", "--fsync", *street.arguments]
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL) as process:
        until(has(path))
        until(lambda: check(path).verdict != NOTHING)
        process.kill()
    assert main(["recording", "info", str(path)]) == 3
    assert main(["recording", "check", str(path)]) == 3
    assert main(["recording", "repair", str(path), "-o", str(out)]) == 3
    assert main(["recording", "check", str(out)]) == 0
    assert "complete: " in capsys.readouterr().out.splitlines()[-1]


def test_a_full_disk_is_one_line_a_whole_file_and_a_count(street, tmp_path, capsys):
    path = tmp_path / "a.mcap"
    arguments = ["record", str(path), "--chunk-s", "0.1", *street.arguments]
    with no_file_above(200_000):
        assert main(arguments) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"cloudypoints: {path}: the recording ends: no room is left")
    assert said.err.count("\n") == 1
    assert " not written" in said.out
    assert " 0 not written" not in said.out
    assert check(path).verdict == COMPLETE
    assert int(facts_of(path)["not_written"]) > 0


def test_its_status_can_be_heard_while_it_records(street, tmp_path, capsys):
    path, endpoint = tmp_path / "a.mcap", f"tcp://127.0.0.1:{free_port()}"
    heard = []
    with subscribe(endpoint, TOPIC) as subscription:
        listening = once(
            lambda: subscription.latest(TOPIC), lambda: heard.append(subscription.latest(TOPIC))
        )
        arguments = [*street.arguments, "--status-endpoint", endpoint, "--seconds", "2"]
        assert main(["record", str(path), *arguments]) == 0
        listening.join()
        until(lambda: subscription.latest(TOPIC).capture == "ended")
        last = subscription.latest(TOPIC)
    assert heard[0].capture == "streaming"
    assert last.frames > 0
    assert last.faults["not_written"] == last.faults["lost_on_the_way"] == 0
    assert last.source == str(path)


def test_a_recorder_that_was_given_no_input_records(street, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    path = tmp_path / "a.mcap"
    assert main(["record", str(path), "--seconds", "1", *street.arguments]) == 0
    assert check(path).verdict == COMPLETE


# --- The ring -------------------------------------------------------------------------------------


def rung(street, folder, ring_event):
    """What a ring's file tells of its events; `ring_event` happens after a second."""
    path = folder / "event.mcap"
    arguments = ["--ring", "5", "--after", "0.3", "--chunk-s", "0.1", "--when-nearer", "3"]
    beginning = threading.Timer(1.0, ring_event)
    ending = once(has(path, 1000), lambda: os.kill(os.getpid(), signal.SIGINT))
    beginning.start()
    assert main(["record", str(path), *arguments, *street.arguments]) == 0
    beginning.join()
    ending.join()
    return json.loads(facts_of(path)["events"])


def test_a_ring_without_an_event_says_that_there_is_no_file(street, tmp_path, capsys):
    arguments = [str(tmp_path / "a.mcap"), "--ring", "5", "--seconds", "1", *street.arguments]
    assert main(["record", *arguments]) == 0
    assert "no file: there was nothing to write" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_an_obstacle_that_comes_near_makes_a_file(street, tmp_path):
    assert rung(street, tmp_path, street.near.set) == [
        "front: an obstacle at 2.0 m, nearer than 3 m"
    ]


def test_a_signal_is_an_event_by_hand(street, tmp_path):
    event = lambda: os.kill(os.getpid(), signal.SIGUSR1)  # noqa: E731
    assert rung(street, tmp_path, event) == ["by hand"]


def test_enter_is_an_event_by_hand(street, tmp_path, monkeypatch):
    person, terminal = pty.openpty()
    with os.fdopen(terminal) as keyboard:
        monkeypatch.setattr(sys, "stdin", keyboard)
        assert rung(street, tmp_path, lambda: os.write(person, b"\n")) == ["by hand"]
    os.close(person)


# --- run --record ---------------------------------------------------------------------------------


def test_a_node_is_recorded_from_its_first_message_to_its_last(node, tmp_path, capfd):
    assert main(node) == 0
    assert "0 lost on the way" in capfd.readouterr().out
    assert main(["recording", "info", str(tmp_path / "a.mcap"), "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    for kind in ("cloud", "depth", "image"):
        assert told["topics"][f"{kind}/front"] == {"messages": FRAMES, "exact": ""}
    # Repeated as stale where the next frame is late.
    assert told["topics"]["obstacles/front"]["messages"] >= FRAMES
    assert told["facts"]["ended"] == "ended"


def test_a_drives_own_packets_are_recorded_in_place_of_pictures(node, tmp_path, capfd):
    assert main([*node, "--video"]) == 0
    assert "0 lost on the way" in capfd.readouterr().out
    with Recording(tmp_path / "a.mcap") as recording:
        counts = recording.info().counts
    assert counts["video/front"] == counts["depth/front"] == FRAMES
    assert not {"image/front", "cloud/front"} & counts.keys()
    model = node[node.index("--model") + 1]
    assert main(["verify", str(tmp_path / "a.mcap"), "--model", model]) == 0
    assert "identical" in capfd.readouterr().out


def test_a_live_sources_packets_are_all_recorded_whatever_gave_way_in_the_node(
    node, tmp_path, capfd
):
    model = saved(tmp_path, ground_model(card_of(), delay=60), "slow.onnx")
    node[node.index("--model") + 1] = model
    assert main([*node, "--video", "--mode", "live", "--pace", "10"]) == 0
    with Recording(tmp_path / "a.mcap") as recording:
        counts = recording.info().counts
    assert counts["video/front"] == FRAMES
    assert 0 < counts["depth/front"] < FRAMES, counts
    assert main(["verify", str(tmp_path / "a.mcap"), "--model", model]) == 0
    assert "identical" in capfd.readouterr().out


def test_a_drive_whose_packets_cannot_be_passed_on_is_refused_by_name(node, tmp_path, capfd):
    coding = {"tune": "film", "x264-params": "bframes=2:b-adapt=0"}
    node[1] = str(film(tmp_path / "b.mp4", range(10), **coding))
    assert main([*node, "--video"]) == 1
    assert re.search(
        r"b\.mp4: coded with B-frames.*leave out the topic video", capfd.readouterr().err
    )
    assert main(node) == 0  # then pictures are recorded
    with Recording(tmp_path / "a.mcap") as recording:
        assert recording.info().counts["image/front"] == 10


def test_a_recorder_says_that_no_video_came(street, tmp_path, capsys):
    arguments = ["record", str(tmp_path / "a.mcap"), *street.arguments]
    assert main([*arguments, "--video", "--seconds", "0.5"]) == 0
    assert "no video came: start the node with --video" in capsys.readouterr().err


def test_a_full_disk_ends_the_recording_and_not_the_node(node, tmp_path, capfd):
    with no_file_above(30_000):
        assert main(node) == 0
    said = capfd.readouterr()
    assert "no room is left on the disk" in said.err
    assert re.search(r"^front +ended .* 0 +unknown", said.out, re.MULTILINE), said.out
    assert check(tmp_path / "a.mcap").verdict == COMPLETE


def recorders():
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and "record" in child.cmdline()
    ]


def test_a_recorder_that_is_killed_does_not_take_the_node_with_it(node, tmp_path, capfd):
    killing = once(recorders, lambda: [recorder.kill() for recorder in recorders()])
    assert main([*node, "--loop", "--seconds", "3"]) == 0
    killing.join()
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL],
                         ids=lambda s: s.name)  # fmt: skip
def test_however_the_node_ends_its_recording_is_whole(number, node, tmp_path):
    path = tmp_path / "a.mcap"
    with subprocess.Popen(
        [*COMMAND, *node, "--loop"], stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        until(has(path))
        (recorder,) = psutil.Process(process.pid).children()
        os.killpg(process.pid, number)  # as Ctrl-C in a terminal does
        assert process.wait(LIMIT_S) in (0, -number)
        recorder.wait(LIMIT_S)
    assert check(path).verdict == COMPLETE
    assert facts_of(path)["ended"] == "ended"


# --- recording ------------------------------------------------------------------------------------


def test_info_says_what_is_in_it(tmp_path, capsys):
    path = tmp_path / "a.mcap"
    record(path, frames(10), depth_step=0.001)
    assert main(["recording", "info", str(path)]) == 0
    said = capsys.readouterr().out
    assert "begun 2027-01-15 08:00:00 UTC; ended" in said
    assert "labels/front       10" in said
    assert "depth to 0.049%" in said
    assert "received 40, lost on the way 0, not written 0" in said


def test_info_of_a_file_without_its_end_tells_what_is_known_of_it(tmp_path, capsys):
    path = tmp_path / "a.mcap"
    record(path, frames(40), depth_step=0.001, chunk_s=0.016)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert main(["recording", "info", str(path)]) == 3
    told = capsys.readouterr()
    assert "begun 2027-01-15 08:00:00 UTC; how it ended: unknown" in told.out
    assert "depth to 0.049%" in told.out
    assert f"cloudypoints: {path}: partial: " in told.err
    assert main(["recording", "info", str(path), "--json"]) == 3
    counts = json.loads(capsys.readouterr().out)["topics"]
    assert 10 < counts["depth/front"]["messages"] < 30


def test_info_of_a_file_of_which_nothing_is_whole_says_so(tmp_path, capsys):
    path = tmp_path / "a.mcap"
    record(path, frames(10))
    path.write_bytes(path.read_bytes()[:400])
    assert main(["recording", "info", str(path)]) == 4
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"cloudypoints: {path}: nothing: not one whole chunk is in it\n"


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (lambda whole: whole, 0, "complete: "),
        (lambda whole: whole[:-400], 3, "partial: "),
        (lambda whole: whole[:400], 4, "nothing: not one whole chunk is in it"),
    ],
    ids=["complete", "partial", "nothing"],
)
def test_check_and_repair_tell_by_word_and_code_what_can_be_saved(
    content, code, says, tmp_path, capsys
):
    path, whole = tmp_path / "a.mcap", tmp_path / "whole.mcap"
    record(whole, frames(10))
    path.write_bytes(content(whole.read_bytes()))
    assert main(["recording", "check", str(path)]) == code
    assert main(["recording", "repair", str(path)]) == code
    assert capsys.readouterr().out.count(f"{path}: {says}") == 2
    assert (tmp_path / "a_repaired.mcap").exists() == (code != 4)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["record", "a.mcap", "clouds"], 2, "topic 'clouds': kinds are "),
        (["record", "a.mcap", "--rate", "cloud"], 2, "expected TOPIC=HZ"),
        (["record", "a.mcap", "--rate", "cloud=x"], 2, "expected TOPIC=HZ"),
        (["record", "a.mcap", "--jpeg", "101"], 2, "jpeg is 101; expected 0 to 100"),
        (["record", "a.mcap", "--when-nearer", "3"], 2, "events need --ring S"),
        (["record", "nowhere/a.mcap"], 1, "is not a folder; make it first"),
        (["record", __file__], 1, "nothing is overwritten"),
        (["recording", "info", "nowhere.mcap"], 1, "cannot be opened"),
        (["recording", "check", "nowhere.mcap"], 1, "cannot be read"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, code, says, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "nice", lambda _more: 0)
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cloudypoints: ")
    assert says in line
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("command", ["record", "recording"])
def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "examples:" in capsys.readouterr().out
