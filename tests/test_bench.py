"""The bench: every budget can be measured and gives sane figures. How good they are is no test."""

import json
import math
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from cloudypoints.errors import NoMessage, SourceError
from cloudytools.bench import machine, memory, report, throughput
from cloudytools.bench.__main__ import main
from cloudytools.bench.budgets import BUDGETS
from cloudytools.bench.figures import Effort, Figure, Target, interleaved
from cloudytools.bench.footage import MemoryCamera, drive, pictures
from cloudytools.bench.listener import Arrival, published_hz, undeclared
from cloudytools.bench.plot import plot_memory
from cloudytools.bench.processes import Reporter
from cloudytools.bench.screen import Screen
from onnx_models import RELATIVE, byte_model, saved

LEAST = Target("≥", 1.1)


@pytest.fixture(scope="module")
def effort(tmp_path_factory) -> Effort:
    folder = tmp_path_factory.mktemp("bench")
    return Effort(1, folder, plot=folder / "memory.png", quick=True)


def arrival(frame: int, *, ms: float, age_ms: float = 5.0) -> Arrival:
    """Of a frame whose stages all happened at once, `ms` after the beginning."""
    stamp_ns = round(ms * 1e6)
    return Arrival(stamp_ns, frame, stamp_ns - round(age_ms * 1e6), *[stamp_ns] * 5)


@pytest.mark.slow
@pytest.mark.parametrize("name", BUDGETS)
def test_every_budget_gives_figures_that_can_be(name, effort):
    figures = BUDGETS[name].measure(effort)
    measured = [
        value
        for figure in figures
        for value in (*figure.rounds, *figure.beside.values())
        if "growth" not in figure.name  # which may be negative
        and "lost" not in figure.name  # which shall be 0
    ]
    assert measured
    assert all(0 < value < math.inf for value in measured)


@pytest.mark.slow
def test_any_model_can_be_the_slow_one_even_without_metres(tmp_path):
    model = saved(tmp_path, byte_model(**RELATIVE))
    (figure,) = throughput.slow_model(Effort(1, tmp_path, model=model, quick=True))
    assert figure.median > 0
    assert figure.beside["session_hz"] > figure.beside["node_hz"]  # it has no work to do


def test_the_json_holds_every_round_and_the_machine_but_no_path(tmp_path, capsys):
    path = tmp_path / "bench.json"
    assert main(["projection", "--quick", "--json", str(path)]) == 0
    written = json.loads(path.read_text(encoding="utf-8"))
    (figure,) = written["budgets"]["projection"]
    assert (figure["target"], figure["unit"], len(figure["rounds"])) == ("≤ 1.5 ×", "×", 2)
    assert {"processor", "cores", "python", "packages"} <= set(written["machine"])
    assert str(Path.home()) not in path.read_text(encoding="utf-8")
    assert platform.node() not in written["machine"].values()
    assert "projection" in capsys.readouterr().out


def test_a_name_that_is_none_is_refused_with_those_that_are(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["projection", "speed"])
    assert "no budget is called speed; known are throughput, " in capsys.readouterr().err


def test_what_cannot_be_measured_is_said_and_the_others_are_measured(capsys):
    assert main(["throughput", "projection", "--quick", "--video", "nowhere.mp4"]) == 1
    output = capsys.readouterr()
    assert "not measured" in output.out
    assert "no such file" in output.err
    assert "project_ms" in output.out


def test_help_names_every_budget(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(f"\n  {name} " in said for name in BUDGETS)


def test_both_sides_take_turns():
    turns = []
    pairs = interleaved(2, lambda: turns.append("ours"), lambda: turns.append("peer"))
    assert turns == ["ours", "peer"] * 2
    assert pairs == [(None, None)] * 2


@pytest.mark.parametrize(
    ("rounds", "verdict"), [((1.0, 1.1, 9.0), "met"), ((1.0, 1.09, 9.0), "missed")]
)
def test_the_median_of_the_rounds_is_judged(rounds, verdict):
    assert Figure("x", LEAST, rounds).verdict == verdict


def test_nothing_is_met_by_what_is_not_known():
    assert Figure("x", LEAST, (math.nan,)).verdict == "missed"
    assert Figure("x", Target("≤", 1.1), (math.nan,)).verdict == "missed"


def test_too_short_a_measurement_is_neither_met_nor_missed():
    assert Figure("x", LEAST, (5.0,), conclusive=False).verdict == "open"


def test_the_table_shows_figure_spread_target_and_verdict():
    figure = Figure("throughput", LEAST, (1.0, 1.25, 2.0), {"node_hz": 123.4})
    console = Console(width=120)
    with console.capture() as capture:
        console.print(report.table({"throughput": [figure]}, {"wire": "nothing came"}))
    shown = capture.get()
    assert "1.25 ×" in shown
    assert "1.00 - 2.00" in shown
    assert "≥ 1.1 ×" in shown
    assert "node_hz 123" in shown
    assert "nothing came" in shown


def test_the_rate_is_that_of_the_publishers_stamps():
    #  frames 10 to 30 in 200 to 1200 ms, the odd ones lost on the way: 20 frames a second
    warming, steady = [arrival(0, ms=0)], range(10, 31, 2)
    came = warming + [arrival(frame, ms=200 + 50 * (frame - 10)) for frame in steady]
    assert published_hz(came) == pytest.approx(20)


def test_what_was_counted_and_a_source_that_begins_anew_are_no_undeclared_loss():
    #  missing: 3 and 4, counted as lost; 6 to 8, of which one was skipped; then it begins anew
    frames = [(1, 7, 1), (2, 7, 1), (5, 9, 1), (9, 9, 2), (0, 9, 2), (1, 9, 2)]
    came = [
        arrival(frame, ms=frame)._replace(lost=lost, skipped=skipped)
        for frame, lost, skipped in frames
    ]
    assert undeclared(came) == 2
    assert undeclared(came[:3]) == 0


def test_a_screen_counts_the_pictures_that_come_to_it(tmp_path):
    header, pixels = np.zeros(100, np.uint8), np.zeros((8, 6, 4), np.uint8)
    header.view(">u4")[[0, 4, 5]] = 100, 6, 8
    path = tmp_path / "screen"
    path.write_bytes(header.tobytes() + pixels.tobytes())
    drawn = np.memmap(path, np.uint8, "r+", offset=100, shape=pixels.shape)
    shown, everything = Screen({}, path), slice(None)
    assert shown.redrawn_hz(slice(2, 4), everything, 0.2) == 0
    ended = threading.Event()

    def draw():
        for number in range(1, 100):
            drawn[2:4] = number
            drawn[6] += 1  # nobody looks there
            ended.wait(0.1)

    drawing = threading.Thread(target=draw)
    drawing.start()
    try:
        assert 5 <= shown.redrawn_hz(slice(2, 4), everything, 1.0) <= 11
    finally:
        ended.set()
        drawing.join()


def test_ages_are_those_of_a_window():
    came = [arrival(n, ms=n, age_ms=4 if n < 100 else 400) for n in range(200)]
    assert memory.p99_age_ms(came, 0, 100_000_000) == pytest.approx(4)


def test_growth_is_the_slope_behind_the_first_third():
    times_s = np.arange(0, 90, 0.1)
    sizes_mb = 200 + np.maximum(times_s, 20) / 100  # 0.01 MB/s = 36 MB/h once it has settled
    assert memory.growth_mb_per_h(times_s, sizes_mb) == pytest.approx(36)


def test_the_span_of_memory_sees_the_step_that_a_slope_hides_but_not_the_start():
    times_s = np.arange(0, 3600, 10.0)
    sizes_mb = np.where(times_s < 300, 100.0, 300.0)  # it opens
    sizes_mb[(times_s > 1800) & (times_s < 1900)] += 60  # and keeps something for a while
    assert abs(memory.growth_mb_per_h(times_s, sizes_mb)) < 50
    assert memory.span_mb(times_s, sizes_mb) == 60


def test_memory_is_drawn_over_its_minutes_a_line_for_each_process(tmp_path):
    times_s = np.linspace(0, 3600, 200)
    lines = {"viewer": 300 + times_s / 100, "node": np.full(200, 180.0)}
    drawn = []
    for names in (("viewer", "node"), ("node",)):
        plot_memory(tmp_path / "memory.png", times_s, {name: lines[name] for name in names})
        drawn.append(cv2.imread(str(tmp_path / "memory.png")))
    coloured = [np.count_nonzero(np.ptp(picture.astype(int), axis=2) > 60) for picture in drawn]
    assert coloured[0] > 1.5 * coloured[1] > 0


def test_memory_is_watched_until_the_process_ends():
    process = subprocess.Popen(
        [sys.executable, "-c", "print('there', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"there\n"  # before, it is still a copy of this one
    looks = memory.watched_together([process.pid, os.getpid()], 0.3)
    assert all(size_mb > 1 for _, *sizes_mb in looks for size_mb in sizes_mb)
    process.communicate(b"\n")
    with pytest.raises(NoMessage, match=f"process {process.pid} ended"):
        memory.watched(process.pid, 0.3)


def test_how_much_a_process_worked_is_its_own_processor_time():
    before_s = time.process_time()
    told_s = memory.worked_s(os.getpid())
    assert before_s - 0.05 <= told_s <= time.process_time() + 0.05


def test_a_plot_is_of_one_memory(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["memory", "viewer-memory", "--plot", "memory.png"])
    assert "name one of memory and viewer-memory" in capsys.readouterr().err


def test_a_camera_in_memory_keeps_its_pace_and_ends_when_closed():
    camera = MemoryCamera(pictures(2, (64, 48)), rate_hz=200)
    frames = [camera.read() for _ in range(3)]
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert frames[0].picture.shape == (48, 64, 3)
    assert (
        frames[2].captured_ns - frames[0].captured_ns > 5_000_000
    )  # two periods, less a late start
    camera.close()
    with pytest.raises(SourceError):
        camera.read()


def test_an_own_video_is_what_is_measured_with(tmp_path):
    assert drive(Effort(1, tmp_path, "own.mp4")) == "own.mp4"


def test_a_process_that_does_not_start_is_said():
    with pytest.raises(NoMessage, match="expected 'ready'"):
        Reporter("cloudytools.bench.nothing")


def test_the_ring_is_larger_than_a_cache_that_exists():
    assert 1 << 18 <= machine.last_level_cache_bytes() <= 1 << 31
