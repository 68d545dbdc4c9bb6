"""Perception run again on what a recording saw, and its messages laid beside the recorded ones."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudypoints.config import NodeSettings, settings_from
from cloudypoints.errors import ModelError, RecordingError, WireError
from cloudypoints.fingerprint import MASKED, SetupDocument, differences, fingerprint_of, loads
from cloudypoints.inference import Model
from cloudypoints.inference.model import EMBEDDED, embedded_path
from cloudypoints.messages import KIND_OF, Header, Message, Setup
from cloudypoints.recording import Recording
from cloudypoints.verify.again import Again, FromPictures, FromSource, FromVideo
from cloudypoints.verify.compare import Difference, same_bytes
from cloudypoints.verify.compare import differences as message_differences
from cloudypoints.wire import decode

_AHEAD = 8  # frames by which the messages of one may come later than those of the next
_PICTURED = "depth.depth_m"  # the field whose worst frame is shown
_NOT_COMPARED = ("status", "setup", "video")  # what is told of the frames, not seen in them

Progress = Callable[[int, int], None]  # frames of a camera seen anew, and of how many


@dataclass(slots=True)
class CameraReport:
    """How the messages of one camera compare."""

    name: str
    identical_wanted: bool = True
    why: list[str] = field(default_factory=list)  # why not, if so
    numbers: list[int] = field(default_factory=list)  # of the frames that were compared
    compared: Counter[str] = field(default_factory=Counter)  # messages by kind
    identical: Counter[str] = field(default_factory=Counter)
    unmade: Counter[str] = field(default_factory=Counter)  # recorded, and not made anew
    first: Difference | None = None  # that counts
    worst: dict[str, Difference] = field(default_factory=dict)  # by field
    series: dict[str, list[tuple[int, float]]] = field(default_factory=dict)  # frame and share
    # The messages of the frame whose depth differs most, or the first that differs: there, here.
    worst_pair: tuple[dict[str, Message], dict[str, Message]] | None = None

    @property
    def passed(self) -> bool:
        """Whether every message is the same, or near enough where that is all that can be."""
        if not self.compared or self.unmade:
            return False
        if self.identical_wanted:
            return self.compared == self.identical
        return not self.failed

    @property
    def frames(self) -> int:
        """How many were compared."""
        return len(self.numbers)

    @property
    def failed(self) -> list[str]:
        """The fields that differ by too much in more frames than they may."""
        return [
            name
            for name, worst in self.worst.items()
            if self.beyond(name) > worst.tolerance.frames * self.compared[worst.kind]
        ]

    def beyond(self, name: str) -> int:
        """In how many frames a field differs by more than is tolerated."""
        allowed = self.worst[name].tolerance.share
        return len({frame for frame, share in self.series[name] if share > allowed})

    def note_frame(self, recorded: dict[str, Message], anew: dict[str, Message]) -> None:
        """Compare the messages of one frame."""
        worst = self.worst.get(_PICTURED)
        identical = self.identical.total()
        self.numbers.append(next(iter(recorded.values())).header.frame)
        for kind, message in recorded.items():
            if kind in anew:
                self._note_message(message, anew[kind])
            else:
                self.unmade[kind] += 1
        differs = self.identical.total() - identical < len(anew.keys() & recorded.keys())
        if (differs and self.worst_pair is None) or self.worst.get(_PICTURED) is not worst:
            self.worst_pair = recorded, anew

    def _note_message(self, recorded: Message, anew: Message) -> None:
        kind = KIND_OF[type(recorded)]
        self.compared[kind] += 1
        if same_bytes(recorded, anew):
            self.identical[kind] += 1
            return
        for difference in message_differences(recorded, anew):
            self._note(difference)

    def _note(self, difference: Difference) -> None:
        self.series.setdefault(difference.field, []).append((difference.frame, difference.share))
        if self.first is None and (self.identical_wanted or not difference.tolerated):
            self.first = difference
        worst = self.worst.get(difference.field)
        if worst is None or _badness(difference) > _badness(worst):
            self.worst[difference.field] = difference


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` found."""

    path: Path
    cameras: list[CameraReport]

    @property
    def passed(self) -> bool:
        """Whether all cameras did."""
        return bool(self.cameras) and all(camera.passed for camera in self.cameras)

    @property
    def first_difference(self) -> Difference | None:
        """The earliest of the first camera that has one."""
        return next((camera.first for camera in self.cameras if camera.first), None)


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be seen anew, and how."""

    model: str = ""  # "": the embedded one, if that is what was recorded
    source: str = ""  # the drive it was made of; "": the pictures that the recording holds
    document: Mapping[str, Any] = field(default_factory=dict)  # settings that replace the recorded


def verify(
    path: Path,
    question: Question = Question(),
    progress: Progress = lambda frames, of: None,
) -> Report:
    """Run the perception anew on every camera of a recording, or on the drive it was made of.

    Raises RecordingError, SourceError, ModelError where the model that was recorded must be named.
    """
    with Recording(path) as recording:
        counts = recording.info().counts
        if not counts:
            raise RecordingError(f"{path}: nothing of ours in it: it was not recorded by a node")
        seen = ("setup",) if question.source else ("image", "video")
        cameras = [
            name
            for name in recording.info().cameras
            if any(f"{kind}/{name}" in counts for kind in seen)
        ]
        if not cameras:
            raise RecordingError(f"{path}: nothing to see anew: no topic {' or '.join(seen)} in it")
        reports = [_verified(recording, name, question, progress) for name in cameras]
    return Report(path, reports)


def _verified(
    recording: Recording, name: str, question: Question, progress: Progress
) -> CameraReport:
    setups = _setups(recording, name)
    first = setups[min(setups)]
    settings = _settings(first, name, question)
    inference = settings.inference
    model = Model.open(inference.model, provider=inference.provider, threads=inference.threads)
    report = _expectations(recording, name, first, settings, model)
    counts = recording.info().counts
    seen = "image" if f"image/{name}" in counts else "video"
    if not question.source:
        report.why += _history(recording, f"{seen}/{name}")
    report.identical_wanted = not report.why
    again: Again = FromPictures(name, settings, model, setups)
    if question.source:
        again = FromSource(question.source, name, settings, model, setups)
    elif seen == "video":
        again = FromVideo(recording, name, settings, model, setups)
    most = max(count for topic, count in counts.items() if topic.endswith(f"/{name}"))
    with closing(again):
        for messages in _by_frame(recording, name):
            report.note_frame(messages, _compared(again.see(messages)))
            progress(report.frames, most)
    return report


def _compared(seen: list[Message]) -> dict[str, Message]:
    """By kind, those that say something of the frame."""
    by_kind = {KIND_OF[type(message)]: message for message in seen}
    return {kind: message for kind, message in by_kind.items() if kind not in _NOT_COMPARED}


def _setups(recording: Recording, name: str) -> dict[int, SetupDocument]:
    """By the frame with which each begins to hold."""
    setups = {}
    for recorded in recording.messages([f"setup/{name}"]):
        message = decode(recorded.parts)
        assert isinstance(message, Setup)
        try:
            setup = loads(message.document)
        except WireError as error:
            raise RecordingError(f"{recording.path}: {error}") from error
        setups[setup.since] = setup
    if not setups:
        raise RecordingError(
            f"{recording.path}: what {name} was made with is not in it: record the topic setup too"
        )
    return setups


def _settings(setup: SetupDocument, name: str, question: Question) -> NodeSettings:
    """Those of the recording, with what is replaced."""
    recorded = setup.fingerprint
    threads = recorded.get("threads", "all")
    settings: dict[str, Any] = {
        **setup.settings,
        "camera": {name: _camera_settings(setup)},
        "inference": {
            "model": question.model or _known_model(recorded),
            "provider": recorded.get("provider", "auto"),
            "threads": int(threads) if threads.isdigit() else 0,
        },
        "publisher": {"topics": list(setup.topics)},
    }
    for section, values in question.document.items():
        settings[section] = {**settings.get(section, {}), **values}
    return settings_from(settings, "the recording's setup")


def _camera_settings(setup: SetupDocument) -> dict[str, Any]:
    """What can be set again: a mask or a background in a file cannot."""
    settings = dict(setup.camera_settings)
    in_files = [key for key in ("mask", "background") if settings.get(key) == MASKED]
    return settings | dict.fromkeys(in_files, "")


def _known_model(recorded: Mapping[str, str]) -> str:
    """The embedded model, if that is what was recorded. Raises ModelError."""
    digest = hashlib.sha256(embedded_path().read_bytes()).hexdigest()
    if digest == recorded.get("digest"):
        return EMBEDDED
    raise ModelError(
        f"recorded with {recorded.get('model')} ({recorded.get('file')}, SHA-256 "
        f"{recorded.get('digest', '')[:12]}…), which is not the embedded one: name it with --model"
    )


def _expectations(
    recording: Recording, name: str, setup: SetupDocument, settings: NodeSettings, model: Model
) -> CameraReport:
    """Whether the bytes must be the same, and if not, why not."""
    why = differences(fingerprint_of(settings, model), setup.fingerprint)
    why = [line for line in why if not line.startswith("file:")]
    ours = settings.model_dump(mode="json", include=set(setup.settings))
    why += differences(ours, dict(setup.settings))
    if setup.fingerprint.get("batch") != "1":
        why.append("several cameras were inferred at once, as it happened")
    info = recording.info()
    inexact = [t for t, how in info.exact.items() if how and t.partition("/")[2] == name]
    if inexact:
        why.append("not recorded byte for byte: " + ", ".join(sorted(inexact)))
    if setup.camera_settings.get("mask") == MASKED:
        why.append("a mask in a file, which is not in the recording")
    return CameraReport(name, why=why)


def _history(recording: Recording, topic: str) -> list[str]:
    """What the node had seen that the recording has not."""
    first_seq, last_seq, count = -1, -1, 0
    for recorded in recording.messages([topic]):
        header = decode(recorded.parts).header
        first_seq = header.seq if count == 0 else first_seq
        last_seq = header.seq
        count += 1
    missed = last_seq + 1 - count - first_seq
    why = []
    if first_seq > 0:
        why.append(f"{first_seq} pictures went before the recording began")
    if missed:
        why.append(f"{missed} pictures are missing in the recording")
    return why


def _by_frame(recording: Recording, name: str) -> Iterator[dict[str, Message]]:
    """The messages of each frame by kind, in the frames' order; what says nothing new left out."""
    coming: dict[tuple[int, int], dict[str, Message]] = {}
    kinds = {topic.partition("/")[0] for topic in recording.info().counts}
    topics = [f"{kind}/{name}" for kind in sorted(kinds - set(_NOT_COMPARED))]
    seen: set[tuple[int, int]] = set()
    for recorded in recording.messages(topics):
        message = decode(recorded.parts)
        key = _key(message.header)
        if message.header.ledger.captured_ns == 0 or key in seen:
            continue  # said while no frame came
        # The first of a kind: later ones repeat it as stale.
        coming.setdefault(key, {}).setdefault(KIND_OF[type(message)], message)
        if len(coming) > _AHEAD:
            oldest = next(iter(coming))
            seen.add(oldest)
            yield coming.pop(oldest)
    yield from coming.values()


def _key(header: Header) -> tuple[int, int]:
    return header.frame, header.stamp_ns


def _badness(difference: Difference) -> tuple[float, float]:
    worst = difference.worst
    return difference.share, worst if math.isfinite(worst) else math.inf
