"""The same answer twice: what is recorded is made again, and what differs is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cloudypoints.capture import Frame
from cloudypoints.cli.verify import told
from cloudypoints.config import settings_from
from cloudypoints.errors import CalibrationError, ModelError, RecordingError
from cloudypoints.geometry import Camera, Intrinsics, Mount
from cloudypoints.inference import Model
from cloudypoints.inference.model import Result
from cloudypoints.messages import KIND_OF, Category, Depth, Header, Ledger, Message, Obstacles
from cloudypoints.pipeline.perception import Perception, numbered
from cloudypoints.processing import Job, process_drive
from cloudypoints.recording import Recorder, Recording, RecordSettings
from cloudypoints.verify import Question, Report, verify
from cloudypoints.verify.compare import Tolerance, differences, same_bytes
from cloudypoints.verify.plot import save_plot
from cloudypoints.wire import decode, encode
from film import film
from onnx_models import card_of, ground_model, saved
from stored_drive import STORED

SIZE_PX = (160, 100)
START_NS = 1_700_000_000_000_000_000
FRAME_NS = 40_000_000
CAMERA = Camera(Intrinsics(*SIZE_PX, 120.3, 121.7, 81.1, 47.9), mount=Mount(1.4, 0.01, 0.05, 0.02))


def street(number: int) -> np.ndarray:
    """A road with something on it that comes nearer; red is the category that the model tells."""
    width, height = SIZE_PX
    picture = np.full((height, width, 3), Category.FLAT, np.uint8)
    picture[: height // 2] = Category.SKY
    picture[30 + number : 70 + number, 60:90] = Category.VEHICLE
    picture[..., 1] = np.arange(width)
    return picture


def frames(count: int, *, restart_at: int = -1, first: int = 0) -> list[Frame]:
    return [
        Frame(street(n % 20), n, n * FRAME_NS, "media", START_NS + n * FRAME_NS, n == restart_at)
        for n in range(first, first + count)
    ]


def recorded(path: Path, model_path: str, shown: list[Frame], **changes) -> Path:
    """What a node would have published of these frames."""
    document = {
        "camera": {"front": {}},
        "inference": {"model": model_path, "provider": "cpu", "threads": 1},
        "publisher": {"topics": changes.pop("topics", _TOPICS)},
    }
    settings = settings_from(document | changes.pop("document", {}), "test")
    model = Model.open(model_path, provider="cpu", threads=1)
    perception = Perception("front", settings, model, camera=changes.pop("camera", CAMERA))
    counts: dict[str, int] = {}
    with Recorder(RecordSettings(path, **changes.pop("recording", {}))) as recorder:
        for frame in shown:
            for message in perception.see(frame):
                kind = KIND_OF[type(message)]
                counts[kind] = counts.get(kind, -1) + 1
                sent = changes.get("tamper", _as_it_is)(numbered(message, 5, counts[kind]))
                recorder.add([memoryview(part).cast("B") for part in encode(sent)], _at_ns(frame))
    return path


_TOPICS = ["obstacles", "scale", "setup", "cloud", "depth", "labels", "image"]


def _at_ns(frame: Frame) -> int:
    return frame.captured_ns


def _as_it_is(message: Message) -> Message:
    return message


@pytest.fixture
def model(tmp_path) -> str:
    return saved(tmp_path, ground_model())


@pytest.fixture
def letterboxed(tmp_path) -> str:
    """A model that leaves rims about the picture."""
    return saved(tmp_path, ground_model(card_of(picture={"resize": "letterbox"})))


def verified(path: Path, model: str, **settings) -> Report:
    return verify(path, Question(model, document=settings))


def test_what_was_recorded_is_made_again_byte_by_byte(tmp_path, model):
    report = verified(recorded(tmp_path / "a.mcap", model, frames(30)), model)
    (camera,) = report.cameras
    assert report.passed
    assert camera.identical_wanted
    assert (camera.why, camera.first) == ([], None)
    kinds = {kind for kind in _TOPICS if kind != "setup"}
    assert camera.identical == camera.compared == dict.fromkeys(kinds, 30)


def test_pictures_with_rims_are_made_again_byte_by_byte(tmp_path, letterboxed):
    path = recorded(tmp_path / "a.mcap", letterboxed, frames(5))
    report = verified(path, letterboxed)
    assert report.passed
    assert report.cameras[0].identical.total() == 30


def test_where_filters_began_anew_they_do_again(tmp_path, model):
    path = recorded(tmp_path / "a.mcap", model, frames(24, restart_at=12))
    report = verified(path, model)
    assert report.passed
    assert report.cameras[0].identical_wanted


def test_a_drive_in_a_loop_is_made_again_though_its_frames_are_counted_anew(tmp_path, model):
    drive = frames(8)
    later = [
        replace(f, stamp_ns=f.stamp_ns + ns, captured_ns=f.captured_ns + ns)
        for ns in (0, 8 * FRAME_NS)
        for f in drive
    ]
    report = verified(recorded(tmp_path / "a.mcap", model, later), model)
    assert report.passed
    assert report.cameras[0].identical["depth"] == 16


def test_another_setting_is_told_and_its_first_frame_named(tmp_path, model):
    path = recorded(tmp_path / "a.mcap", model, frames(6))
    report = verified(path, model, cloud={"max_range_m": 5.0})
    (camera,) = report.cameras
    assert not report.passed
    assert camera.why == ["cloud.max_range_m: 100.0 there, 5.0 here"]
    assert camera.first is not None
    assert (camera.first.frame, camera.first.kind) == (0, "depth")
    assert camera.identical["image"] == 6
    assert camera.worst_pair is not None


def test_another_model_is_told(tmp_path, model):
    other = saved(tmp_path, ground_model(card_of(valid_range=(0.1, 5.0))), "other.onnx")
    report = verified(recorded(tmp_path / "a.mcap", model, frames(4)), other)
    (camera,) = report.cameras
    assert any(why.startswith("digest:") for why in camera.why)
    assert "there, nan here at [" in camera.worst["depth.depth_m"].said
    assert not report.passed


def test_a_model_of_another_grid_is_compared_where_it_can_be(tmp_path, model):
    smaller = ground_model(card_of(picture={"width_px": 32, "height_px": 24}))
    other = saved(tmp_path, smaller, "other.onnx")
    report = verified(recorded(tmp_path / "a.mcap", model, frames(3)), other)
    worst = report.cameras[0].worst
    assert worst["depth.depth_m"].said == "shape (48, 64) there, (24, 32) here"


def test_one_pixel_that_was_tampered_with_is_found(tmp_path, model):
    def tamper(message: Message) -> Message:
        if not isinstance(message, Depth) or message.header.frame != 3:
            return message
        depth_m = message.depth_m.copy()
        depth_m[40, 7] += 0.5
        return replace(message, depth_m=depth_m)

    report = verified(recorded(tmp_path / "a.mcap", model, frames(6), tamper=tamper), model)
    difference = report.first_difference
    assert difference is not None
    assert (difference.frame, difference.field) == (3, "depth.depth_m")
    assert difference.said.endswith("at [40, 7]")
    assert difference.worst == pytest.approx(0.5, abs=1e-4)
    assert report.cameras[0].identical["depth"] == 5
    assert not report.passed  # within the tolerance, and yet the bytes had to be the same


def test_a_recording_that_is_not_exact_is_compared_by_numbers(tmp_path, model):
    path = recorded(tmp_path / "a.mcap", model, frames(4), recording={"depth_step": 0.001})
    (camera,) = verified(path, model).cameras
    assert not camera.identical_wanted
    assert camera.why[0].startswith("not recorded byte for byte: cloud/front, depth/front")
    assert camera.passed


def test_a_recording_that_began_late_or_lacks_frames_says_so(tmp_path, model):
    def late(message: Message) -> Message:
        return replace(message, header=replace(message.header, seq=message.header.seq + 7))

    path = recorded(tmp_path / "a.mcap", model, frames(4), tamper=late)
    (camera,) = verified(path, model).cameras
    assert camera.why == ["7 pictures went before the recording began"]


def test_what_cannot_be_verified_is_told(tmp_path, model):
    without = [kind for kind in _TOPICS if kind != "setup"]
    path = recorded(tmp_path / "a.mcap", model, frames(2), topics=without)
    with pytest.raises(RecordingError, match="record the topic setup too"):
        verify(path, Question(model))
    path = recorded(tmp_path / "b.mcap", model, frames(2), topics=["setup", "depth"])
    with pytest.raises(RecordingError, match="nothing to see anew: no topic image or video in it"):
        verify(path, Question(model))
    path = recorded(tmp_path / "c.mcap", model, frames(2))
    with pytest.raises(ModelError, match=r"recorded with ground .*name it with --model"):
        verify(path)


# --- several sessions in one recording


def joined(path: Path, *parts: Path, sessions: tuple[int, ...] = (7, 8, 9)) -> Path:
    """What a recorder has of a node that was started several times."""
    with Recorder(RecordSettings(path)) as recorder:
        for place, (session, part) in enumerate(zip(sessions, parts, strict=False)):
            with Recording(part) as recording:
                for entry in recording.messages():
                    message = decode(entry.parts)
                    sent = replace(message, header=replace(message.header, session=session))
                    content = [memoryview(piece).cast("B") for piece in encode(sent)]
                    recorder.add(content, entry.log_time_ns + place * LATER_NS)
    return path


LATER_NS = 100_000_000_000


def test_each_session_is_made_again_with_its_own_setup(tmp_path, model):
    first = recorded(tmp_path / "a.mcap", model, frames(6))
    higher = replace(CAMERA, mount=Mount(3.0, 0.01, 0.05, 0.02))
    second = recorded(tmp_path / "b.mcap", model, frames(4), camera=higher)
    report = verified(joined(tmp_path / "both.mcap", first, second), model)
    names = [(camera.name, camera.frames) for camera in report.cameras]
    assert names == [("front, session 1 of 2", 6), ("front, session 2 of 2", 4)]
    assert report.passed
    assert all(camera.identical_wanted for camera in report.cameras)


def test_what_was_tampered_with_in_a_later_session_is_found(tmp_path, model):
    def tamper(message: Message) -> Message:
        wanted = isinstance(message, Depth)
        return replace(message, depth_m=np.ones_like(message.depth_m)) if wanted else message

    sound = recorded(tmp_path / "a.mcap", model, frames(5))
    other = recorded(tmp_path / "b.mcap", model, frames(5), tamper=tamper)
    report = verified(joined(tmp_path / "both.mcap", sound, other), model)
    first, second = report.cameras
    assert not report.passed
    assert first.passed
    assert second.identical["depth"] == 0
    assert second.compared["depth"] == 5


def test_the_drives_own_pictures_are_those_of_their_session(tmp_path, model):
    recordings = []
    for name, numbers in (("a", range(12)), ("b", range(20, 34))):
        drive = film(tmp_path / f"{name}.mp4", numbers, size_px=(160, 120))
        topics = {"publisher": {"topics": ["setup", "video", "depth"]}}
        inference = {"inference": {"model": model, "provider": "cpu"}}
        job = Job(str(drive), tmp_path / f"{name}.mcap", topics | inference)
        assert process_drive(job).ok
        recordings.append(job.out)
    report = verified(joined(tmp_path / "both.mcap", *recordings), model)
    assert report.passed
    assert [camera.identical["depth"] for camera in report.cameras] == [12, 14]


def test_sessions_that_cannot_be_told_apart_are_refused_with_their_names(tmp_path, model):
    part = recorded(tmp_path / "a.mcap", model, frames(3))
    without = recorded(tmp_path / "b.mcap", model, frames(3), topics=["image", "depth"])
    mixed = joined(tmp_path / "mixed.mcap", part, without)
    with pytest.raises(RecordingError, match="what session 8 of front was made with is not in it"):
        verified(mixed, model)
    looped = joined(tmp_path / "looped.mcap", part, part, sessions=(7, 7))
    with pytest.raises(RecordingError, match=r"number 0 of session 7 comes after 2: .* in a loop"):
        verified(looped, model)

    def later(message: Message) -> Message:
        return replace(message, header=replace(message.header, seq=message.header.seq + 3))

    rest = recorded(tmp_path / "c.mcap", model, frames(3, first=3), tamper=later)
    turns = joined(tmp_path / "turns.mcap", part, part, rest, sessions=(7, 8, 7))
    with pytest.raises(RecordingError, match=r"several sessions \(7, 8\) take turns"):
        verified(turns, model)


def test_the_plot_shows_what_differs(tmp_path, model):
    path = recorded(tmp_path / "a.mcap", model, frames(6))
    same, other = tmp_path / "same.png", tmp_path / "other.png"
    save_plot(same, verified(path, model))
    save_plot(other, verified(path, model, cloud={"max_range_m": 5.0}))
    assert cv2.imread(str(other)).shape[0] > cv2.imread(str(same)).shape[0] > 100


# --- single messages


def depth(values: list[float], **header) -> Depth:
    return Depth(Header("front", **header), np.array([values], np.float32))


NAN, INF = float("nan"), float("inf")


def test_session_number_ledger_and_drops_are_left_out():
    one = depth([1.0, NAN], session=1, seq=3, drops=2, ledger=Ledger(captured_ns=5))
    assert same_bytes(one, depth([1.0, NAN]))
    assert not same_bytes(one, depth([1.0, NAN], frame=1))
    assert differences(one, depth([1.0, NAN])) == []


@pytest.mark.parametrize(
    ("here", "worst", "share"),
    [
        ([1.0, 2.0, NAN, 4.0], 0.0, 0.0),
        ([1.001, 2.0, NAN, 4.0], 0.001, 0.0),  # within a hundredth
        ([1.1, 2.0, NAN, 4.0], 0.1, 0.25),
        ([1.0, 2.0, 3.0, 4.0], INF, 0.25),  # known in one alone
        ([1.0, INF, NAN, 4.0], INF, 0.25),
    ],
)
def test_values_differ_by_what_they_differ(here, worst, share):
    tolerances = {"depth.depth_m": Tolerance(relative=0.01, share=0.1)}
    found = differences(depth([1.0, 2.0, NAN, 4.0]), depth(here), tolerances=tolerances)
    assert max((d.worst for d in found), default=0.0) == pytest.approx(worst, rel=1e-3)
    assert max((d.share for d in found), default=0.0) == share
    assert all(d.tolerated == (share <= 0.1) for d in found)


def test_a_header_of_other_words_is_a_difference():
    (difference,) = differences(depth([1.0], scale="good"), depth([1.0], scale="lost"))
    assert difference.field == "header.scale"
    assert difference.said == "'good' there, 'lost' here"
    assert not difference.tolerated


# --- the stored drive


def test_the_stored_drive_gives_the_stored_answer():
    """`tests/stored_drive.py` says how to look at what changed, and how to store a new answer."""
    report = verify(STORED, Question(source="demo:"))
    (camera,) = report.cameras
    assert report.passed, "\n".join(told(camera))
    assert camera.frames == 60
    assert camera.compared["obstacles"] == 60


def test_a_processor_that_rounds_otherwise_is_near_enough(monkeypatch):
    """Noise of a hundred thousandth on every depth, and categories that flip at ties."""
    chance = np.random.default_rng(1)
    inferred = Model.infer_fitted

    def rounded_otherwise(self, fitted, views):
        return [noisy(result, chance) for result in inferred(self, fitted, views)]

    monkeypatch.setattr(Model, "infer_fitted", rounded_otherwise)
    monkeypatch.setattr("cloudypoints.fingerprint.processor", lambda: "another")
    report = verify(STORED, Question(source="demo:"))
    (camera,) = report.cameras
    assert report.passed, "\n".join(told(camera))
    assert camera.why[0].startswith('processor: "')
    assert camera.identical.total() < 60


def noisy(result: Result, chance: np.random.Generator) -> Result:
    assert result.labels is not None
    factor = 1 + 1e-5 * chance.standard_normal(result.depth.shape)
    flipped = chance.random(result.labels.shape) < 1e-4
    labels = np.where(flipped, Category.FLAT, result.labels).astype(np.uint8)
    return replace(result, depth=(result.depth * factor).astype(np.float32), labels=labels)


def test_what_is_nearest_may_be_another_in_few_frames_alone(tmp_path, model):
    def elsewhere(*numbers: int) -> Report:
        def tamper(message: Message) -> Message:
            wanted = isinstance(message, Obstacles) and message.header.frame in numbers
            return replace(message, nearest_m=1.0) if wanted else message

        path = tmp_path / f"{len(numbers)}.mcap"
        recorded(path, model, frames(40), tamper=tamper, recording={"depth_step": 0.001})
        return verified(path, model)

    assert elsewhere(3, 17).passed
    (camera,) = elsewhere(3, 17, 21).cameras
    assert camera.failed == ["obstacles.nearest_m"]
    assert not camera.passed


def test_a_drive_that_is_not_that_of_the_recording_differs(tmp_path):
    other = film(tmp_path / "other.mp4", range(60), size_px=(320, 180))
    report = verify(STORED, Question(source=str(other)))
    assert not report.passed
    assert report.cameras[0].unmade["labels"] == 40  # that drive ends before frame 100
    wider = film(tmp_path / "wider.mp4", range(60), size_px=(320, 120))
    with pytest.raises(CalibrationError, match="its pictures are 320×120: another aspect"):
        verify(STORED, Question(source=str(wider)))
