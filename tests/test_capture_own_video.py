"""A drive recorded as its own packets: others read it, and it is the same drive again."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory
from rerun import VideoCodec

from cloudypoints import wire
from cloudypoints.capture import CaptureSettings, Frame, RecordedSource, open_source
from cloudypoints.capture.video import rgb
from cloudypoints.errors import SourceEnded
from cloudypoints.messages import Video
from cloudypoints.processing import Job, process_drive
from cloudypoints.recording import Recorder, Recording, RecordSettings
from cloudypoints.verify import Question, verify
from film import film
from onnx_models import ground_model, saved
from test_capture_packets import H265, jpegs
from test_capture_video import cut, damaged, turned
from test_recording_others import loaded

FRAMES = 60
GOP = 12
TOPICS = ["setup", "obstacles", "scale", "depth", "labels", "video"]


def frames_of(name: object, **settings: Any) -> list[Frame]:
    frames = []
    source = open_source(str(name), CaptureSettings(pace=0, **settings))
    with closing(source), suppress(SourceEnded):
        while True:
            frames.append(source.read())
    return frames


def told(frame: Frame) -> tuple[int, int, str]:
    return frame.index, frame.stamp_ns, frame.clock


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made: Path = tmp_path_factory.mktemp("own_video")
    return made


@pytest.fixture(scope="module")
def model(folder) -> str:
    return saved(folder, ground_model())


@pytest.fixture(scope="module")
def drive(folder) -> Path:
    return film(folder / "drive.mp4", range(FRAMES), gop=GOP)


def recorded(drive: Path, model: str, **capture: Any) -> Path:
    """What `process` writes; no picture of the model's grid is in it."""
    document = {
        "camera": {"front": {"capture": capture}},
        "inference": {"model": model, "provider": "cpu"},
        "publisher": {"topics": TOPICS},
    }
    outcome = process_drive(Job(str(drive), drive.with_suffix(".mcap"), document))
    assert outcome.ok, outcome.error
    return drive.with_suffix(".mcap")


@pytest.fixture(scope="module")
def recording(drive, model) -> Path:
    return recorded(drive, model)


def test_the_official_reader_gives_the_stream_that_decodes_to_the_same_pictures(drive, recording):
    with recording.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        found = list(reader.iter_decoded_messages(["/front/video"]))
    assert {schema.name for schema, *_ in found} == {"foxglove.CompressedVideo"}
    assert {(video.format, video.frame_id) for *_, video in found} == {("h264", "front")}
    decoder: Any = av.CodecContext.create("h264", "r")
    stream = b"".join(video.data for *_, video in found)
    pictures = [frame for packet in decoder.parse(stream) for frame in decoder.decode(packet)]
    pictures += [f for packet in decoder.parse(None) for f in decoder.decode(packet)]
    pictures += decoder.decode(None)
    original = frames_of(drive)
    assert len(pictures) == len(original) == FRAMES
    assert all(np.array_equal(rgb(a), b.picture) for a, b in zip(pictures, original, strict=True))


def test_rerun_takes_it_for_a_video(recording):
    columns: dict[str, list[Any]] = {"VideoStream:codec": [], "VideoStream:sample": []}
    for entity, name, values in loaded(recording):
        if entity == "/front/video" and name in columns:
            columns[name] += values
    assert [codec for (codec,) in columns["VideoStream:codec"]] == [VideoCodec.H264.value] * FRAMES
    with Recording(recording) as opened:
        videos = [wire.decode(message.parts) for message in opened.messages(["video"])]
    for (sample,), video in zip(columns["VideoStream:sample"], videos, strict=True):
        assert isinstance(video, Video)
        assert bytes(sample) == video.packet.tobytes()


def test_each_message_is_one_picture_that_is_not_larger_than_its_packet(drive, recording):
    with av.open(str(drive)) as container:
        sizes = sum(packet.size for packet in container.demux(video=0))
    with Recording(recording) as opened:
        videos = [wire.decode(message.parts) for message in opened.messages(["video"])]
    packets = [video.packet for video in videos if isinstance(video, Video)]
    assert len(packets) == FRAMES
    assert sum(map(len, packets)) < sizes + 200 * FRAMES / GOP  # parameter sets, once a key picture


@pytest.mark.parametrize("kind", ["h264", "h265", "mjpeg"])
def test_the_recording_is_the_drive_again(kind, drive, folder, model):
    drives = {
        "h264": lambda: drive,
        "h265": lambda: film(folder / "h265.mp4", range(FRAMES), gop=GOP, **H265),
        "mjpeg": lambda: jpegs(folder / "jpegs.mkv", FRAMES),
    }
    path = drives[kind]()
    original, again = frames_of(path), frames_of(recorded(path, model))
    assert [*map(told, again)] == [*map(told, original)]
    assert all(map(np.array_equal, [f.picture for f in again], [f.picture for f in original]))


def test_a_jpeg_drive_is_compressed_images_to_others(folder, model):
    path = recorded(jpegs(folder / "cheap.mkv", 5), model)
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        found = list(reader.iter_decoded_messages(["/front/video"]))
    assert {schema.name for schema, *_ in found} == {"foxglove.CompressedImage"}
    assert {image.format for *_, image in found} == {"jpeg"}
    first = cv2.imdecode(np.frombuffer(found[0][-1].data, np.uint8), cv2.IMREAD_COLOR)
    assert first.shape == (240, 320, 3)


def glued(folder: Path) -> Path:
    """Two drives one behind the other, the second of another size."""
    small = film(folder / "small.ts", range(20))
    large = film(folder / "large.ts", range(20, 40), size_px=(480, 360))
    (folder / "glued.ts").write_bytes(small.read_bytes() + large.read_bytes())
    return folder / "glued.ts"


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("turned", lambda folder: turned(film(folder / "upright.mp4", range(3)), 90)),
        ("glued", glued),
        ("mp4", lambda f: damaged(film(f / "d.mp4", range(100), gop=5), 0.4, 0.5, every=97)),
        ("ts", lambda f: damaged(film(f / "d.ts", range(100)), 0.4, 0.5, every=97)),
        ("tables", lambda f: damaged(film(f / "t.ts", range(100), gop=5), 0.4, 0.5, every=97)),
        ("cut", lambda f: cut(film(f / "c.mkv", range(100)), 0.5)),
    ],
)
def test_a_drive_with_faults_is_that_drive_again(name, made, folder, model):
    (folder / name).mkdir()
    path = made(folder / name)
    original, again = frames_of(path), frames_of(recorded(path, model))
    assert [*map(told, again)] == [*map(told, original)]
    assert all(map(np.array_equal, [f.picture for f in again], [f.picture for f in original]))


@pytest.mark.parametrize("place", [0, 1, 30, 59])
def test_a_place_that_is_sought_gives_the_frames_that_playing_gives(place, drive, recording):
    original = frames_of(drive)[place:]
    with closing(open_source(str(recording), CaptureSettings(pace=0))) as source:
        assert isinstance(source, RecordedSource)
        source.playback.seek(place * 0.04)
        again = [source.read() for _ in original]
    assert [*map(told, again)] == [*map(told, original)]
    assert all(map(np.array_equal, [f.picture for f in again], [f.picture for f in original]))


def test_a_part_that_begins_between_key_pictures_is_that_part_again(folder, model):
    path = film(folder / "part.mp4", range(FRAMES), gop=GOP)
    original = frames_of(path, start_s=0.8, end_s=1.6)
    again = frames_of(recorded(path, model, start_s=0.8, end_s=1.6))
    assert original[0].index == 20
    assert [*map(told, again)] == [*map(told, original)]
    assert all(map(np.array_equal, [f.picture for f in again], [f.picture for f in original]))


def test_the_camera_is_that_of_the_drive(recording):
    with closing(open_source(str(recording))) as source:
        camera = source.camera
    assert camera is not None
    assert (camera.intrinsics.width_px, camera.intrinsics.height_px) == (320, 240)


def test_what_was_recorded_beside_the_packets_is_made_again_byte_by_byte(recording, model):
    report = verify(recording, Question(model))
    (camera,) = report.cameras
    assert report.passed
    assert (camera.identical_wanted, camera.why) == (True, [])
    kinds = set(TOPICS) - {"setup", "video"}
    assert camera.identical == camera.compared == dict.fromkeys(kinds, FRAMES)


def test_another_setting_is_found_from_the_packets_too(recording, model):
    report = verify(recording, Question(model, document={"cloud": {"max_range_m": 5.0}}))
    assert not report.passed
    assert report.cameras[0].why == ["cloud.max_range_m: 100.0 there, 5.0 here"]


def test_behind_packets_that_were_lost_it_goes_on_with_a_key_picture(drive, recording, tmp_path):
    """Pictures made of others than theirs would look whole."""
    with (
        Recording(recording) as opened,
        Recorder(RecordSettings(tmp_path / "gap.mcap")) as recorder,
    ):
        for number, message in enumerate(opened.messages(["video"])):
            if number not in (5, 40):
                recorder.add(message.parts, message.log_time_ns)
    again = frames_of(tmp_path / "gap.mcap")
    kept = [*range(5), *range(12, 40), *range(48, FRAMES)]
    assert [frame.index for frame in again] == kept
    original = frames_of(drive)
    assert all(np.array_equal(f.picture, original[f.index].picture) for f in again)


def test_what_was_published_is_given_back_byte_by_byte(recording, tmp_path):
    with (
        Recording(recording) as opened,
        Recorder(RecordSettings(tmp_path / "a.mcap", topics=("video",))) as recorder,
    ):
        sent = [[bytes(part) for part in m.parts] for m in opened.messages(["video/front"])]
        for number, parts in enumerate(sent):
            recorder.add(parts, 1_000_000_000 + number)
    with Recording(tmp_path / "a.mcap") as opened:
        assert [[bytes(part) for part in m.parts] for m in opened.messages()] == sent
        assert opened.info().exact == {"video/front": ""}
