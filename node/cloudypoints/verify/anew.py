"""Perception run again on what a recording saw, and its messages laid beside the recorded ones."""

from __future__ import annotations

import hashlib
import itertools
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
from cloudypoints.verify.again import Again, FromPictures, FromSource, FromVideo, Session
from cloudypoints.verify.compare import Difference, same_bytes
from cloudypoints.verify.compare import differences as message_differences
from cloudypoints.wire import decode

_AHEAD = 8  # frames by which the messages of one may come later than those of the next
_PICTURED = "depth.depth_m"  # the field whose worst frame is shown
_NOT_COMPARED = ("status", "setup", "video")  # what is told of the frames, not seen in them

Progress = Callable[[int, int], None]  # frames of a camera seen anew, and of how many


@dataclass(slots=True)
class CameraReport:
    """How the messages of one camera compare, of one session where there are several."""

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

    Each session of a node is seen with its own setup. Raises RecordingError, also where the
    sessions cannot be told apart, SourceError, ModelError where the model must be named.
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
        reports = [
            report for name in cameras for report in _verified(recording, name, question, progress)
        ]
    return Report(path, reports)


def _verified(
    recording: Recording, name: str, question: Question, progress: Progress
) -> list[CameraReport]:
    """A report for each session of a camera that has frames; an empty one where none has."""
    setups = _setups(recording, name)
    missed = {} if question.source else _missed(recording, name)
    counts = recording.info().counts
    most = max(count for topic, count in counts.items() if topic.endswith(f"/{name}"))
    reports: dict[int, CameraReport] = {}
    for number, frames in itertools.groupby(_by_frame(recording, name), _session_of):
        if number not in setups or number in reports:
            raise RecordingError(f"{recording.path}: {_refusal(name, number, setups)}")
        done = sum(report.frames for report in reports.values())
        session = Session(name, number, setups[number])
        again, report = _prepared(recording, session, question)
        report.why += missed.get((_seen(recording, session), number), [])
        report.identical_wanted = not report.why
        report.name = _titled(name, number, setups)
        reports[number] = report
        with closing(again):
            for messages in frames:
                report.note_frame(messages, _compared(again.see(messages)))
                progress(done + report.frames, most)
    return list(reports.values()) or [CameraReport(name)]


def _prepared(
    recording: Recording, session: Session, question: Question
) -> tuple[Again, CameraReport]:
    """What sees a session anew, and what is expected of it."""
    settings = _settings(session.first, session.camera, question)
    inference = settings.inference
    model = Model.open(inference.model, provider=inference.provider, threads=inference.threads)
    report = _expectations(recording, session, settings, model)
    if question.source:
        return FromSource(question.source, session, settings, model), report
    if _seen(recording, session) == "video":
        return FromVideo(recording, session, settings, model), report
    return FromPictures(session, settings, model), report


def _seen(recording: Recording, session: Session) -> str:
    """The kind that holds what the session saw."""
    pictured = f"image/{session.camera}" in recording.info().counts
    return "image" if pictured and "image" in session.first.topics else "video"


def _session_of(messages: Mapping[str, Message]) -> int:
    return next(iter(messages.values())).header.session


def _titled(name: str, number: int, setups: Mapping[int, Any]) -> str:
    """The camera, and which session of how many where there are several."""
    if len(setups) == 1:
        return name
    return f"{name}, session {list(setups).index(number) + 1} of {len(setups)}"


def _refusal(name: str, number: int, setups: Mapping[int, Any]) -> str:
    """Why a session cannot be verified, nor half of its recording."""
    if number in setups:
        listed = ", ".join(map(str, setups))
        return f"messages of {name} of several sessions ({listed}) take turns: record one node"
    return f"what session {number} of {name} was made with is not in it: record the topic setup too"


def _compared(seen: list[Message]) -> dict[str, Message]:
    """By kind, those that say something of the frame."""
    by_kind = {KIND_OF[type(message)]: message for message in seen}
    return {kind: message for kind, message in by_kind.items() if kind not in _NOT_COMPARED}


def _setups(recording: Recording, name: str) -> dict[int, dict[int, SetupDocument]]:
    """By session, in their order, and by the frame with which each begins to hold."""
    setups: dict[int, dict[int, SetupDocument]] = {}
    for recorded in recording.messages([f"setup/{name}"]):
        message = decode(recorded.parts)
        assert isinstance(message, Setup)
        try:
            setup = loads(message.document)
        except WireError as error:
            raise RecordingError(f"{recording.path}: {error}") from error
        setups.setdefault(message.header.session, {})[setup.since] = setup
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
    recording: Recording, session: Session, settings: NodeSettings, model: Model
) -> CameraReport:
    """Whether the bytes must be the same, and if not, why not."""
    name, setup = session.camera, session.first
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


def _missed(recording: Recording, name: str) -> dict[tuple[str, int], list[str]]:
    """What the node had seen that the recording has not, by kind of picture and session."""
    numbers: dict[tuple[str, int], list[int]] = {}
    for recorded in recording.messages([f"image/{name}", f"video/{name}"]):
        header = recorded.header
        kind = recorded.topic.partition("/")[0]
        numbers.setdefault((kind, header.session), []).append(header.seq)
    return {key: _gaps(seqs) for key, seqs in numbers.items()}


def _gaps(seqs: list[int]) -> list[str]:
    """In the numbers of a session's pictures, which rise from 0."""
    why = []
    missed = seqs[-1] + 1 - seqs[0] - len(seqs)
    if seqs[0] > 0:
        why.append(f"{seqs[0]} pictures went before the recording began")
    if missed > 0:
        why.append(f"{missed} pictures are missing in the recording")
    return why


def _by_frame(recording: Recording, name: str) -> Iterator[dict[str, Message]]:
    """The messages of each frame by kind, in the frames' order; what says nothing new left out."""
    coming: dict[tuple[int, int, int], dict[str, Message]] = {}
    last: dict[tuple[str, int], int] = {}  # number by topic and session
    kinds = {topic.partition("/")[0] for topic in recording.info().counts}
    topics = [f"{kind}/{name}" for kind in sorted(kinds - set(_NOT_COMPARED))]
    seen: set[tuple[int, int, int]] = set()
    for recorded in recording.messages(topics):
        message = decode(recorded.parts)
        _check_order(f"{recording.path}: {recorded.topic}", message.header, last)
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


def _check_order(topic: str, header: Header, last: dict[tuple[str, int], int]) -> None:
    """Raises RecordingError where messages of a session come again, which would be passed over."""
    key = topic, header.session
    if header.seq <= last.get(key, -1):
        raise RecordingError(
            f"{topic}: number {header.seq} of session {header.session} comes after "
            f"{last[key]}: the session is in the recording more than once, as of a replay in a "
            f"loop: record one round of it"
        )
    last[key] = header.seq


def _key(header: Header) -> tuple[int, int, int]:
    return header.session, header.frame, header.stamp_ns


def _badness(difference: Difference) -> tuple[float, float]:
    worst = difference.worst
    return difference.share, worst if math.isfinite(worst) else math.inf
