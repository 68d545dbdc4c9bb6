"""What a camera sees against what its model was trained on."""

import json
import math
import threading

import cv2
import numpy as np
import pytest

from cloudypoints.cli.listen import as_json
from cloudypoints.errors import ConfigError
from cloudypoints.input_statistics import DEPTH_NAMES, PICTURE_NAMES, UNKNOWN
from cloudypoints.messages import Header, Ledger, Status
from cloudypoints.publisher import Publisher
from cloudypoints.recording import Recorder, RecordSettings
from cloudypoints.subscriber import subscribe
from cloudypoints.timing import utc_ns
from cloudypoints.wire import encode
from cloudytools.data.reference import Reference
from cloudytools.evaluate import drift
from cloudytools.evaluate.__main__ import main

EVEN = dict.fromkeys(DEPTH_NAMES, 1 / len(DEPTH_NAMES))
TRAINED = Reference(
    pictures=100,
    mean={"brightness": 0.5, "contrast": 0.2, "sharpness": 0.1, **EVEN, UNKNOWN: 0.2},
    deviation={"brightness": 0.1, "contrast": 0.05, "sharpness": 0.02, **EVEN, UNKNOWN: 0.1},
)
ALIKE = dict(TRAINED.mean)
DARK = {**ALIKE, "brightness": 0.15}


def rows(seen):
    return {row.name: row for row in drift.compared(seen, TRAINED)}


def test_what_is_like_the_training_data_has_not_moved():
    found = rows([ALIKE] * 3)
    assert set(found) == {*PICTURE_NAMES, "depth"}
    assert all(row.verdict == "alike" for row in found.values())
    assert all(row.distance == pytest.approx(0, abs=1e-12) for row in found.values())


@pytest.mark.parametrize(
    ("brightness", "distance", "verdict"),
    [(0.42, 0.8, "alike"), (0.65, 1.5, "moved"), (0.15, 3.5, "drifted"), (0.85, 3.5, "drifted")],
)
def test_brightness_is_judged_by_the_deviation_of_the_training_pictures(
    brightness, distance, verdict
):
    row = rows([{**ALIKE, "brightness": brightness}])["brightness"]
    assert row.distance == pytest.approx(distance)
    assert row.verdict == verdict


def test_what_counts_is_the_mean_of_what_was_seen():
    seen = [{**ALIKE, "brightness": value} for value in (0.1, 0.9)]
    assert rows(seen)["brightness"].verdict == "alike"


def test_the_stability_index_is_zero_for_equal_shares_and_the_same_both_ways():
    one, other = (0.5, 0.3, 0.2), (0.2, 0.3, 0.5)
    assert drift.stability_index(one, one) == 0
    assert drift.stability_index(one, other) == pytest.approx(drift.stability_index(other, one))
    #  (0.5 − 0.2) ln(0.5 / 0.2) twice
    assert drift.stability_index(one, other) == pytest.approx(2 * 0.3 * math.log(2.5))


def test_an_empty_bin_keeps_the_index_finite():
    assert math.isfinite(drift.stability_index((1.0, 0.0), (0.5, 0.5)))


def test_depth_that_lies_elsewhere_has_drifted():
    near = {**ALIKE, **dict.fromkeys(DEPTH_NAMES, 0.0), "depth_from_2_m": 1.0}
    assert rows([near])["depth"].verdict == "drifted"


def test_figures_that_nobody_knows_are_left_out():
    pictures_alone = {name: ALIKE[name] for name in PICTURE_NAMES}
    assert set(rows([pictures_alone])) == set(PICTURE_NAMES)
    with pytest.raises(ConfigError, match="no input statistics to compare"):
        drift.compared([{}], TRAINED)


# --- Where they come from -------------------------------------------------------------------------


def status(number, statistics, camera="front"):
    now_ns = utc_ns()
    header = Header(camera, seq=number, stamp_ns=now_ns, ledger=Ledger(captured_ns=now_ns))
    return Status(header, statistics=statistics)


def keep_sending(publisher, over):
    """Two cameras' status, a hundred times a second."""
    number = 0
    while not over.wait(0.01):
        number += 1
        for camera, statistics in (("front", DARK), ("rear", ALIKE)):
            publisher.publish(status(number, statistics, camera))


def test_a_running_node_is_heard_for_so_long():
    over = threading.Event()
    with Publisher("tcp://127.0.0.1:*") as publisher:
        thread = threading.Thread(target=keep_sending, args=(publisher, over))
        thread.start()
        try:
            found = drift.figures_of(publisher.endpoint, seconds=0.5)
        finally:
            over.set()
            thread.join()
    assert set(found) == {"front", "rear"}
    assert found["front"][0] == DARK


def test_silence_is_an_error_and_no_verdict():
    silent = pytest.raises(ConfigError, match="no input statistics came from it")
    with Publisher("tcp://127.0.0.1:*") as publisher, silent:
        drift.figures_of(publisher.endpoint, seconds=0.1)


def test_a_recording_of_a_node_is_read(tmp_path):
    path = tmp_path / "drive.mcap"
    with Recorder(RecordSettings(path)) as recorder:
        for number in range(5):
            parts = [bytes(part) for part in encode(status(number, DARK))]
            recorder.add(parts, 1_800_000_000_000_000_000 + number * 1_000_000_000)
    assert drift.figures_of(str(path)) == {"front": [DARK] * 5}


def lines_of(messages):
    """What `cloudypoints listen --json` prints of them."""
    with subscribe("tcp://127.0.0.1:9", "status") as subscription:
        return "".join(as_json(message, subscription) + "\n" for message in messages)


def test_lines_of_listen_are_read_and_unknown_figures_left_out(tmp_path):
    path = tmp_path / "status.jsonl"
    unknown = {**DARK, "depth_from_0_m": math.nan}
    path.write_text(lines_of([status(0, DARK), status(1, unknown)]))
    found = drift.figures_of(str(path))["front"]
    assert found[0] == DARK
    assert set(found[1]) == set(DARK) - {"depth_from_0_m"}


@pytest.mark.parametrize("line", ["{", "[]", '{"camera": "front"}', '{"topic": 3}'])
def test_a_line_that_is_none_of_ours_is_said_by_its_number(tmp_path, line):
    path = tmp_path / "status.jsonl"
    path.write_text(f'{{"topic": "cloud/front"}}\n{line}\n')
    with pytest.raises(ConfigError, match=r"status\.jsonl: line 2 is none of"):
        drift.figures_of(str(path))


def test_pictures_alone_tell_of_light_but_not_of_depth(tmp_path):
    for number in range(3):
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((32, 64, 3), 51, np.uint8))
    (figures,) = drift.figures_of(str(tmp_path), every_s=0.0).values()
    assert len(figures) == 3
    assert set(figures[0]) == set(PICTURE_NAMES)
    assert figures[0]["brightness"] == pytest.approx(0.2)


# --- The command ----------------------------------------------------------------------------------


@pytest.fixture
def reference(tmp_path):
    """A run's folder with its reference."""
    TRAINED.save(tmp_path / Reference.NAME)
    return str(tmp_path)


@pytest.mark.parametrize(("seen", "code"), [(ALIKE, 0), (DARK, 1)])
def test_the_exit_code_tells_whether_it_has_drifted(reference, tmp_path, capsys, seen, code):
    lines, out = tmp_path / "status.jsonl", tmp_path / "drift.json"
    lines.write_text(lines_of([status(0, seen)]))
    assert main(["drift", str(lines), "--reference", reference, "--json", str(out)]) == code
    told = capsys.readouterr().out
    assert "brightness" in told
    assert ("drifted" in told) == bool(code)
    verdicts = {row["name"]: row["verdict"] for row in json.loads(out.read_text())["front"]}
    assert (verdicts["brightness"] == "drifted") == bool(code)


def test_nothing_to_compare_is_one_line_and_another_code(reference, tmp_path, capsys):
    empty = tmp_path / "status.jsonl"
    empty.write_text("")
    assert main(["drift", str(empty), "--reference", reference]) == 2
    assert main(["drift", str(empty), "--reference", str(tmp_path / "none.json")]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert "no input statistics came" in errors[0] + errors[1]
    assert all(line.startswith("error: ") for line in errors)


def test_the_embedded_models_training_data_has_its_reference():
    reference = drift.reference_at(drift.STREETS)
    assert reference.pictures >= 100
    assert math.fsum(reference.mean[name] for name in DEPTH_NAMES) == pytest.approx(1)
