"""The command as a person uses it: what works says so, what fails says why in one line."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from cloudypoints import __version__
from cloudypoints.cli import main
from cloudypoints.cli.table import metres, seconds
from cloudypoints.errors import NoMessage
from cloudypoints.publisher import Publisher
from cloudypoints.subscriber import subscribe
from onnx_models import RELATIVE, SEGMENTATION, TWO_INPUT, byte_model, ground_model, saved, stripped
from ports import free_port

COMMAND = [sys.executable, "-m", "cloudypoints"]
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}


@pytest.fixture
def model(tmp_path: Path) -> str:
    return saved(tmp_path, ground_model())


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    picture = np.full((48, 64, 3), 1, np.uint8)  # red 1: all is flat ground
    picture[:, ::2, 1] = 200  # and something to see: an open lens
    for index in range(8):
        cv2.imwrite(str(folder / f"{index}.png"), picture)
    return folder


@pytest.fixture
def endpoint() -> str:
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture
def node(model, pictures, endpoint):
    """A node as a process of its own, playing pictures in a loop."""
    arguments = ["run", str(pictures), "--loop", "--model", model, "--provider", "cpu"]
    with subprocess.Popen(
        [*COMMAND, *arguments, "-e", endpoint],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        try:
            with subscribe(endpoint, "cloud") as subscription:
                subscription.read(20)
            yield process
        finally:
            process.kill()


def fails(capsys, *arguments: str) -> tuple[int, str]:
    """The exit code and the one line of a command that must fail."""
    code = main(arguments)
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert code != 0
    assert line.startswith("cloudypoints: ")
    return code, line


def test_listen_prints_json_that_tells_all(node, endpoint):
    listen = subprocess.run(
        [*COMMAND, "listen", "obstacles", "--json", "--count", "3", "-e", endpoint, "--timeout=10"],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    lines = [json.loads(line) for line in listen.stdout.splitlines()]
    assert len(lines) == 3
    assert {line["topic"] for line in lines} == {"obstacles/front"}
    assert lines[2]["seq"] > lines[0]["seq"]
    assert lines[0]["state"] == "ok", lines[0]["reason"]
    assert lines[0]["nearest_m"] == float("inf")  # 1e999: looked, and nothing seen
    assert len(lines[0]["range_m"]) == len(lines[0]["bearing_rad"])
    assert "NaN" not in listen.stdout
    assert 0 <= lines[0]["age_s"] < 10


def test_listen_shows_a_table_of_topics(node, endpoint, capsys):
    assert main(["listen", "-e", endpoint, "--seconds", "2"]) == 0
    table = capsys.readouterr().out
    for topic in ("cloud/front", "obstacles/front", "status/front", "image/front"):
        assert re.search(rf"^{topic} +[\d.]+ Hz", table, re.MULTILINE), table


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".npz"])
def test_a_snapshot_is_a_file_of_points(node, endpoint, tmp_path, capsys, suffix):
    path = tmp_path / f"street{suffix}"
    assert main(["snapshot", str(path), "-e", endpoint]) == 0
    points = int(re.search(r"(\d+) points of camera front", capsys.readouterr().out)[1])
    assert 500 < points <= 64 * 48
    assert path.stat().st_size > points


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_signal_ends_a_node_cleanly_within_a_second(node, endpoint, number):
    start_s = time.monotonic()
    node.send_signal(number)
    _out, err = node.communicate(timeout=5)
    assert time.monotonic() - start_s < 1.5  # one, and the interpreter's own end
    assert (node.returncode, err) == (0, "")
    Publisher(endpoint).close()  # the ports are free


def test_a_node_says_when_its_first_cloud_came_and_writes_a_picture(
    model, pictures, endpoint, tmp_path, capsys
):
    path = tmp_path / "overview.png"
    arguments = ["run", str(pictures), "--model", model, "-e", endpoint, "--picture", str(path)]
    assert main([*arguments, "--loop", "--seconds", "3"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"first cloud \d+\.\d s after the start", out)
    assert "front" in out
    picture = cv2.imread(str(path))
    assert picture is not None
    assert picture.std() > 5


def test_a_configuration_file_runs(model, pictures, tmp_path, endpoint, capsys):
    path = tmp_path / "node.toml"
    path.write_text(
        f'[camera.left]\nsource = "{pictures}"\n[inference]\nmodel = "{model}"\n'
        f'[publisher]\nendpoint = "{endpoint}"\n'
    )
    assert main(["run", "--config", str(path)]) == 0
    assert "left" in capsys.readouterr().out


def test_the_nodes_options_go_over_a_configuration_file(pictures, tmp_path, capsys):
    path = tmp_path / "node.toml"
    path.write_text(f'[camera.left]\nsource = "{pictures}"\n')
    config = ("run", "--config", str(path))
    code, line = fails(capsys, *config, "--model", str(tmp_path / "none.onnx"))
    assert (code, "none.onnx: no such file" in line) == (1, True)
    code, line = fails(capsys, *config, "--hfov", "70", "--loop")
    assert code == 2
    assert "--hfov, --loop: of a camera, which --config describes" in line


def unusable(name: str, tmp_path: Path) -> Path:
    path = tmp_path / name
    if name.endswith(".mp4"):
        path.write_text("this is text\n" * 100)
    else:
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("none.mp4", "no such file"),
        ("text.mp4", "text.mp4"),
        ("empty", "no pictures"),
        ("camera:97", "camera"),
    ],
)
def test_a_source_that_cannot_be_read_is_one_line(model, endpoint, tmp_path, capsys, source, says):
    known = source in ("text.mp4", "empty")
    name = str(unusable(source, tmp_path)) if known else source
    code, line = fails(capsys, "run", name, "--model", model, "-e", endpoint)
    assert says.lower() in line.lower()
    assert code == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"not a model", "not a model that onnxruntime opens"),
        (stripped(ground_model()), "no 'cloudypoints' entry"),
    ],
    ids=["no model", "no card"],
)
def test_a_model_that_cannot_be_used_is_one_line(
    pictures, endpoint, tmp_path, capsys, content, says
):
    path = saved(tmp_path, content, "broken.onnx")
    code, line = fails(capsys, "run", str(pictures), "--model", path, "-e", endpoint)
    assert says in line
    assert code == 1


def test_a_model_that_lacks_its_background_is_one_line(pictures, endpoint, tmp_path, capsys):
    path = saved(tmp_path, byte_model(**TWO_INPUT))
    code, line = fails(capsys, "run", str(pictures), "--model", path, "-e", endpoint)
    assert "set --background FILE" in line
    assert code == 2


def test_a_scale_that_makes_no_metres_is_one_line(pictures, endpoint, tmp_path, capsys):
    path = saved(tmp_path, byte_model(**SEGMENTATION))
    arguments = ("run", str(pictures), "--model", path, "--scale", "2", "-e", endpoint)
    code, line = fails(capsys, *arguments)
    assert "segmentation gives no depth that [cloud] scale could make metres of" in line
    assert code == 1


@pytest.mark.parametrize(
    "family",
    [
        (byte_model(**RELATIVE), (), "first relative"),
        (byte_model(**SEGMENTATION), (), "first labels"),
        (byte_model(**TWO_INPUT), ("--background", "median:0.2"), "first cloud"),
    ],
    ids=["relative", "segmentation", "two inputs"],
)
def test_a_node_of_any_family_says_when_its_first_result_came_and_draws_it(
    pictures, endpoint, tmp_path, capsys, family
):
    model, options, first = family
    path, picture = saved(tmp_path, model), tmp_path / "seen.png"
    arguments = ["run", str(pictures), "--model", path, "--loop", "--seconds", "4", "-e", endpoint]
    assert main([*arguments, *options, "--picture", str(picture)]) == 0
    assert first in capsys.readouterr().out
    assert picture.stat().st_size > 5000


def test_a_stream_that_does_not_answer_is_one_line_without_its_password(tmp_path, capsys, model):
    path = tmp_path / "stream.toml"
    path.write_text(
        '[camera.front]\nsource = "rtsp://admin:secret@127.0.0.1:1/none"\n'
        f'capture.open_timeout_s = 1.0\n[inference]\nmodel = "{model}"\n'
    )
    code, line = fails(capsys, "run", "--config", str(path))
    assert code == 1
    assert "127.0.0.1:1/none" in line
    assert "secret" not in line


def test_a_port_in_use_is_one_line(node, model, pictures, endpoint, capsys):
    code, line = fails(capsys, "run", str(pictures), "--model", model, "-e", endpoint)
    assert "already in use" in line
    assert code == 1


def test_a_wrong_configuration_is_one_line_and_a_code_of_its_own(tmp_path, capsys):
    path = tmp_path / "wrong.toml"
    path.write_text("[cloud]\nfar_m = 3\n")
    code, line = fails(capsys, "run", "--config", str(path))
    assert "cloud: unknown far_m; known are" in line
    assert code == 2


def test_a_setting_out_of_range_is_one_line(pictures, capsys):
    code, line = fails(capsys, "run", str(pictures), "--height", "-2")
    assert "height_m" in line
    assert code == 2


def test_a_snapshot_can_be_a_picture_of_all_of_a_frame(node, endpoint, tmp_path, capsys):
    path = tmp_path / "street.png"
    assert main(["snapshot", str(path), "-e", endpoint]) == 0
    assert re.search(r"street\.png: frame \d+ of camera front", capsys.readouterr().out)
    assert cv2.imread(str(path)).shape == (900, 1600, 3)


def test_a_snapshot_of_nothing_is_one_line(tmp_path, capsys, endpoint):
    arguments = ("snapshot", str(tmp_path / "a.png"), "-e", endpoint, "--timeout", "0.1")
    code, _line = fails(capsys, *arguments)
    assert code == 1


def test_a_snapshot_of_an_unknown_kind_names_the_known_ones(tmp_path, capsys, endpoint):
    _code, line = fails(capsys, "snapshot", str(tmp_path / "cloud.obj"), "-e", endpoint)
    assert ".ply" in line


def test_nobody_there_is_said_after_the_timeout(capsys, endpoint):
    _code, line = fails(capsys, "listen", "-e", endpoint, "--timeout", "0.3")
    assert "nothing in" in line


def test_silence_for_the_whole_time_is_no_success(capsys, endpoint):
    code, line = fails(capsys, "listen", "-e", endpoint, "--seconds", "0.3")
    assert code == 1
    assert "is a node running there?" in line


def test_the_viewer_without_a_display_says_what_to_do(endpoint):
    view = subprocess.run(
        [*COMMAND, "view", "-e", endpoint],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    assert view.returncode == 1
    assert re.match(r"cloudypoints: .*display", view.stderr)
    assert "Traceback" not in view.stderr


def test_check_tells_what_is_here_and_what_is_missing(capsys):
    assert main(["check"]) == 0
    report = capsys.readouterr().out
    assert re.search(r"^ok +embedded model +street.*runs on", report, re.MULTILINE)
    assert "the node can run here" in report


@pytest.mark.parametrize(
    "command",
    ["", "demo", "run", "listen", "snapshot", "view", "check", "calibrate", "mount"],
)
def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"] if command else ["--help"])
    assert ended.value.code == 0
    assert "usage: cloudypoints" in capsys.readouterr().out


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.strip() == f"cloudypoints {__version__}"


def test_a_reader_that_goes_away_ends_the_listening_quietly(node, endpoint):
    piped = f"{sys.executable} -m cloudypoints listen --json -e {endpoint} | head -n 1"
    listen = subprocess.run(
        piped, shell=True, capture_output=True, text=True, env=ENVIRONMENT, timeout=20, check=True
    )
    assert len(listen.stdout.splitlines()) == 1
    assert listen.stderr == ""


def test_the_demo_plays_beside_its_truth_and_writes_a_picture(tmp_path, endpoint):
    picture = tmp_path / "demo.png"
    demo = subprocess.run(
        [*COMMAND, "demo", "--seconds", "6", "-e", endpoint, "--picture", str(picture)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=60,
        check=False,
    )
    assert (demo.returncode, demo.stderr) == (0, "")
    assert re.search(r"truth +error", demo.stdout)
    assert re.search(r"\d m .*[+-]\d+%", demo.stdout)
    assert cv2.imread(str(picture)).std() > 20


@pytest.mark.parametrize(
    ("distance_m", "text"),
    [(12.34, "12.3 m"), (float("inf"), "none"), (float("nan"), "unknown")],
)
def test_a_distance_is_a_word_where_there_is_no_number(distance_m, text):
    assert metres(distance_m) == text


@pytest.mark.parametrize(
    ("duration_s", "text"), [(0.0421, "42 ms"), (1.26, "1.3 s"), (float("inf"), "-")]
)
def test_a_duration_has_the_unit_that_reads_best(duration_s, text):
    assert seconds(duration_s) == text


def test_no_message_is_an_error_of_ours():
    with pytest.raises(NoMessage), subscribe("tcp://127.0.0.1:9", "cloud") as subscription:
        subscription.read(0.05)
