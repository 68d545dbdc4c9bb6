"""Many drives: the same digests with any number of workers, whatever happens to one of them."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import cv2
import psutil
import pytest

from cloudypoints.errors import ConfigError, EndpointError, MissingExtra
from cloudypoints.processing import Job, Outcome, Pool, jobs_for, load_outcome, process, worker
from cloudypoints.processing.drive import process_drive
from cloudypoints.processing.inputs import state_of_source
from cloudypoints.processing.jobs import keep, refusal
from cloudypoints.recording import Recording
from cloudypoints.timing import Deadline
from cloudypoints.verify import Question, verify
from drives import ros1_bag
from film import film, numbered
from onnx_models import ground_model, saved
from ports import free_port


@pytest.fixture
def model(tmp_path) -> str:
    return saved(tmp_path, ground_model())


@pytest.fixture
def drives(tmp_path) -> list[str]:
    """A film, a folder of pictures, and something that is neither."""
    film(tmp_path / "street.mp4", range(20), size_px=(160, 120))
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(12):
        cv2.imwrite(str(folder / f"{number}.png"), numbered(number, (160, 120)))
    (tmp_path / "broken.mp4").write_bytes(b"not a film" * 100)
    return [str(tmp_path / "street.mp4"), str(folder), str(tmp_path / "broken.mp4")]


def document(model: str) -> dict:
    return {"inference": {"model": model, "provider": "cpu"}, "camera": {"side": {}}}


def digests(outcomes: list[Outcome]) -> dict[str, str]:
    return {Path(outcome.out).name: outcome.digest for outcome in outcomes}


def test_one_worker_or_two_the_digests_are_the_same(tmp_path, drives, model):
    done = {}
    for workers in (1, 2):
        jobs = jobs_for(drives, tmp_path / str(workers), document(model), {})
        done[workers] = list(process(jobs, Pool(workers)))
    assert digests(done[1]) == digests(done[2])
    by_name = {Path(outcome.out).name: outcome for outcome in done[2]}
    assert {name: outcome.ok for name, outcome in by_name.items()} == {
        "street.mcap": True,
        "pictures.mcap": True,
        "broken.mcap": False,
    }
    assert by_name["street.mcap"].frames == 20
    assert by_name["street.mcap"].messages["cloud"] == 20
    assert "broken.mp4" in by_name["broken.mcap"].error
    assert not (tmp_path / "2" / "broken.mcap").exists()
    assert not list((tmp_path / "2").glob("*.part*"))


def test_what_comes_out_is_a_recording_that_verifies(tmp_path, drives, model):
    (job, *_) = jobs_for(drives, tmp_path / "out", document(model), {})
    job.out.parent.mkdir()
    outcome = process_drive(job)
    assert outcome.ok
    with Recording(job.out) as recording:
        assert recording.info().cameras == ["side"]
        assert recording.info().counts["image/side"] == 20
    report = verify(job.out, Question(model))
    assert report.passed
    assert report.cameras[0].identical_wanted


def test_one_that_is_killed_at_the_last_moment_leaves_nothing_that_keeps_it_from_being_done_again(
    tmp_path, drives, model
):
    (job, *_) = jobs_for(drives, tmp_path / "out", document(model), {})
    (before,) = process([job], Pool())

    def killed(outcome: Outcome) -> None:
        assert not job.out.exists()
        keep(job, outcome)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process_drive(job, made=killed)
    assert not refusal(job)
    assert load_outcome(job) is None
    (again,) = process([job], Pool())
    assert (again.ok, again.digest) == (True, before.digest)


def test_what_was_done_is_not_done_again_and_what_changed_is(tmp_path, drives, model):
    jobs = jobs_for(drives[:1], tmp_path / "out", document(model), {})
    (first,) = process(jobs, Pool())
    assert first.seconds > 0
    (again,) = process(jobs, Pool())
    assert again == first
    other = jobs_for(drives[:1], tmp_path / "out", document(model) | {"cloud": {"stride": 2}}, {})
    assert load_outcome(other[0]) is None
    (changed,) = process(other, Pool())
    assert changed.digest != first.digest
    Path(changed.out).unlink()
    assert load_outcome(other[0]) is None


@pytest.mark.slow
def test_a_worker_that_is_killed_has_its_drive_done_by_another(
    tmp_path, drives, model, monkeypatch
):
    """Its process is killed as soon as it has told of a frame."""
    started: list[int] = []
    popen = worker_popen(started)
    monkeypatch.setattr("cloudypoints.processing.pool.subprocess.Popen", popen)
    killed = threading.Event()

    def kill_once(job: Job, frames: int) -> None:
        if frames and not killed.is_set():
            killed.set()
            os.kill(started[-1], signal.SIGKILL)

    jobs = jobs_for(drives[:1], tmp_path / "killed", slow(model, tmp_path), {})
    (outcome,) = process(jobs, Pool(1), kill_once)
    assert killed.is_set()
    assert (outcome.ok, outcome.attempts) == (True, 2)
    (undisturbed,) = process(
        jobs_for(drives[:1], tmp_path / "calm", slow(model, tmp_path), {}), Pool()
    )
    assert outcome.digest == undisturbed.digest


def slow(model: str, folder: Path) -> dict:
    """A model that leaves time to be killed in."""
    return document(saved(folder, ground_model(delay=40), "slow.onnx"))


def worker_popen(started: list[int]):
    class Popen(subprocess.Popen):
        def __init__(self, *arguments, **options) -> None:
            super().__init__(*arguments, **options)
            started.append(self.pid)

    return Popen


def test_a_worker_that_dies_each_time_is_given_up(tmp_path, drives, model, monkeypatch):
    command = [sys.executable, "-c", "import os; os.abort()"]
    monkeypatch.setattr("cloudypoints.processing.pool.COMMAND", command)
    jobs = jobs_for(drives[:1], tmp_path / "out", document(model), {})
    (outcome,) = process(jobs, Pool(1))
    assert not outcome.ok
    assert outcome.error.startswith("its worker ended 3 times without a word (code -")


@pytest.mark.slow
def test_leaving_early_kills_the_workers(tmp_path, drives, model):
    jobs = jobs_for(drives[:2], tmp_path / "out", slow(model, tmp_path), {})
    outcomes = process(jobs, Pool(2))
    next(outcomes)
    outcomes.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "worker"]


def names(sources: list[str], out: Path) -> list[str]:
    return [job.out.name for job in jobs_for(sources, out, {}, {})]


def test_drives_of_one_name_do_not_overwrite_each_other(tmp_path):
    sources = ["a/street.mp4", "b/street.mp4", "bag?topic=/front/image", "rtsp://x/y", "c/..mp4"]
    named = names(sources, tmp_path)
    assert named[:2] == ["street.mcap", "street_2.mcap"]
    assert named[2] == "bag_topic__front_image.mcap"
    assert len(set(named)) == 5


def test_nor_does_one_that_comes_another_day(tmp_path):
    for job in jobs_for(["a/street.mp4", "b/street.mp4"], tmp_path, {}, {}):
        keep(job, Outcome(job.source, str(job.out), job.key(), ok=True))
    assert names(["c/street.mp4", "b/street.mp4"], tmp_path) == ["street_3.mcap", "street_2.mcap"]


def test_a_drive_or_a_model_that_was_changed_is_done_again(tmp_path, drives, model):
    def key() -> str:
        return jobs_for(drives[:1], tmp_path, document(model), {})[0].key()

    before = key()
    assert key() == before
    os.utime(model, ns=(5, 5))
    other_model = key()
    film(tmp_path / "street.mp4", range(21), size_px=(160, 120))
    assert len({before, other_model, key()}) == 3


@pytest.fixture
def kitti(tmp_path) -> Path:
    """A drive of KITTI's, of twelve pictures."""
    camera = tmp_path / "2011_09_26" / "drive" / "image_02"
    (camera / "data").mkdir(parents=True)
    times = [f"2011-09-26 13:02:{number:02}.0" for number in range(12)]
    (camera / "timestamps.txt").write_text("\n".join(times))
    for number in range(12):
        cv2.imwrite(str(camera / "data" / f"{number:010}.png"), numbered(number, (160, 120)))
    return camera.parent


def test_the_files_of_a_folder_are_what_its_result_hangs_on(tmp_path, kitti, drives, model):
    folder = Path(drives[1])
    for drive, picture in ((kitti, kitti / "image_02/data/0000000003.png"), (folder, "3.png")):
        job = Job(str(drive), tmp_path / "out" / "a.mcap", document(model))
        before = job.key()
        assert job.key() == before
        cv2.imwrite(str(drive / picture), numbered(9, (160, 120)))
        assert job.key() != before


def test_results_beside_the_pictures_change_nothing(tmp_path, drives, model):
    folder = Path(drives[1])
    jobs = jobs_for([str(folder)], folder, document(model), {})
    (first,) = process(jobs, Pool())
    assert first.ok
    (again,) = process(jobs, Pool())
    assert again == first


def test_the_working_directory_is_nothing_that_a_result_hangs_on(
    tmp_path, drives, model, monkeypatch
):
    job = Job(drives[0], tmp_path / "a.mcap")
    before = job.key()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert job.key() == before
    monkeypatch.setattr("cloudypoints.processing.inputs.embedded_path", lambda: Path(model))
    assert job.key() != before


def test_a_calibration_that_was_changed_is_noticed(tmp_path, drives):
    path = tmp_path / "camera.txt"
    keys = set()
    for content in ("P2: 1", "P2: 12"):
        path.write_text(content)
        for name in (str(path), f"{path}#P2"):
            camera = {"camera": {"side": {"calibration": name}}}
            keys.add(Job(drives[0], tmp_path / "a.mcap", camera).key())
    assert len(keys) == 4


def test_the_files_of_a_bag_and_of_other_folders_are_found(tmp_path):
    bag, segment, scenes = (tmp_path / name for name in ("bag", "segment", "scenes"))
    for path in (
        bag / "metadata.yaml",
        bag / "bag_0.db3",
        bag / "bag.mcap",
        segment / "qcamera.ts",
        scenes / "v1.0-mini" / "sample_data.json",
        scenes / "samples" / "CAM_FRONT" / "1.jpg",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("paths: [bag_0.db3]")
    read = {
        str(source): [name for name, *_ in state_of_source(str(source))]
        for source in (bag, bag / "bag_0.db3", segment, scenes, "demo:", "nowhere.mp4")
    }
    assert list(read.values()) == [
        ["bag_0.db3", "metadata.yaml"],
        ["bag_0.db3", "metadata.yaml"],
        ["qcamera.ts"],
        ["1.jpg", "sample_data.json"],
        [],
        [],
    ]


def test_what_was_not_made_here_is_not_written_over(tmp_path, drives, model):
    out = tmp_path / "out"
    jobs = jobs_for(drives[:2], out, document(model), {})
    out.mkdir()
    jobs[0].out.write_bytes(b"somebody's recording")
    refused, done = process(jobs, Pool())
    assert "street.mcap lies there already" in refused.error
    assert "choose another --out" in refused.error
    assert (refused.ok, done.ok) == (False, True)
    assert jobs[0].out.read_bytes() == b"somebody's recording"
    assert not (out / "street.json").exists()


def test_nor_is_a_file_of_its_results_name_or_the_drive_itself(tmp_path, drives, model):
    (tmp_path / "street.json").write_text("{}")
    (job,) = jobs_for(drives[:1], tmp_path, document(model), {})
    (outcome,) = process([job], Pool())
    assert "street.json lies there already" in outcome.error
    assert (tmp_path / "street.json").read_text() == "{}"
    film(tmp_path / "own.mp4", range(5), size_px=(160, 120)).rename(tmp_path / "own.mcap")
    before = (tmp_path / "own.mcap").read_bytes()
    (outcome,) = process(jobs_for([str(tmp_path / "own.mcap")], tmp_path, {}, {}), Pool())
    assert "own.mcap is the drive itself" in outcome.error
    assert (tmp_path / "own.mcap").read_bytes() == before


def test_what_was_made_here_stays_ours_though_its_drive_was_away_for_a_day(tmp_path, drives, model):
    jobs = jobs_for(drives[:1], tmp_path / "out", document(model), {})
    (first,) = process(jobs, Pool())
    Path(drives[0]).rename(tmp_path / "away.mp4")
    (failed,) = process(jobs, Pool())
    assert "no such file" in failed.error
    (tmp_path / "away.mp4").rename(drives[0])
    (again,) = process(jobs, Pool())
    assert again.digest == first.digest
    Path(again.out).write_bytes(b"somebody's recording")
    (refused,) = process(jobs, Pool())
    assert "does not say that process made it" in refused.error


def test_a_drive_called_summary_does_not_lie_where_the_batchs_lies(tmp_path):
    assert names(["a/summary.mp4", "b/Summary.mp4"], tmp_path) == [
        "summary_2.mcap",
        "Summary_2.mcap",
    ]


def test_of_a_drive_that_breaks_off_nothing_is_left_but_why(tmp_path, drives, model):
    content = bytearray(ros1_bag(tmp_path / "a.bag").read_bytes())
    content[len(content) // 2 :] = b""
    (tmp_path / "a.bag").write_bytes(content)
    (job,) = jobs_for([str(tmp_path / "a.bag")], tmp_path / "out", document(model), {})
    (outcome,) = process([job], Pool())
    assert "a.bag: not a bag that can be read" in outcome.error
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.json"]


def test_a_setting_that_is_wrong_is_told(drives, tmp_path):
    job = Job(drives[0], tmp_path / "a.mcap", {"cloud": {"far_m": 3}})
    with pytest.raises(ConfigError, match="cloud: unknown far_m"):
        job.settings()
    with pytest.raises(ConfigError, match=r"camera\.front: "):
        Job(drives[0], tmp_path / "a.mcap", {"camera": {"front": 3}}).settings()
    assert "unknown far_m" in process_drive(job).error


def test_a_worker_speaks_lines_of_json(tmp_path, drives, model):
    (tmp_path / "out").mkdir()
    (job, *_) = jobs_for(drives, tmp_path / "out", document(model), {})
    told = io.StringIO()
    worker.main(io.StringIO(worker.dumps(job)), told)
    *counts, last = told.getvalue().splitlines()
    assert worker.outcome_from(counts[0]) == (1, None)
    frames, outcome = worker.outcome_from(last)
    assert outcome is not None
    assert (frames, outcome.ok) == (20, True)
    assert json.loads(outcome.dumps())["frames"] == 20


def test_a_missing_ray_names_the_extra_that_brings_it(tmp_path, drives, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    jobs = jobs_for(drives, tmp_path / "out", document(model), {})
    with pytest.raises(MissingExtra, match=r"cloudypoints\[fleet\]"):
        list(process(jobs, Pool(ray="local")))


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "127.0.0.1:99{}"])
def test_a_cluster_that_is_not_there_is_told_at_once(tmp_path, drives, model, address):
    jobs = jobs_for(drives, tmp_path / "out", document(model), {})
    with pytest.raises(EndpointError, match="no Ray cluster there"):
        list(process(jobs, Pool(ray=address.format(free_port()))))


@pytest.mark.slow  # Ray takes seconds to start
@pytest.mark.filterwarnings("ignore")  # its own
def test_ray_gives_the_same_digests_though_a_worker_of_it_is_killed(
    tmp_path, drives, model, monkeypatch
):
    """Paths that begin at this folder hold for its workers too."""
    monkeypatch.chdir(tmp_path)
    named = [Path(drive).name for drive in drives]
    calm = jobs_for(named, Path("here"), slow(model, tmp_path), {})
    here = list(process(calm, Pool(1)))
    killed: list[int] = []
    watcher = threading.Thread(target=kill_a_ray_worker, args=(killed,))
    watcher.start()
    disturbed = jobs_for(named, Path("there"), slow(model, tmp_path), {})
    there = list(process(disturbed, Pool(2, ray="local")))
    watcher.join()
    assert killed
    assert digests(there) == digests(here)
    assert [outcome.ok for outcome in there].count(False) == 1  # that which is broken


def kill_a_ray_worker(killed: list[int]) -> None:
    """One that is at work: Ray calls its processes by what they do."""
    limit = Deadline(90)
    while not (killed or limit.over):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error, IndexError):
                if child.cmdline()[0].startswith("ray::_process_there"):
                    child.kill()
                    killed.append(child.pid)
                    return
