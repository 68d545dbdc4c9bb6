"""`cloudypoints mount`: how a camera sits over the ground, measured, said and written."""

from __future__ import annotations

import argparse
import itertools
import math
import re
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudypoints.cli.options import time_s
from cloudypoints.errors import ConfigError, MissingExtra, SourceError

if TYPE_CHECKING:
    from cloudypoints.capture import Frame
    from cloudypoints.geometry import Camera
    from cloudypoints.mounting import Estimate

_EPILOG = """\
three ways:
  a drive          straight ahead for some seconds: roll, pitch and yaw; with --speed the height
  a horizon        two points or more at eye level (the sea, not hills): roll and pitch
  marks            four points or more on the ground (a fixed camera): everything

examples:
  cloudypoints mount drive.mp4 --calibration camera.toml --speed 13.9
  cloudypoints mount drive.mp4 --calibration camera.toml --height 1.32
  cloudypoints mount beach.jpg --calibration camera.toml --horizon 12,301 1251,296 --height 6
  cloudypoints mount gate.jpg --calibration camera.toml \\
      --mark 412,633=4,1.5 --mark 887,640=4,-1.5 --mark 801,402=9,-1.5 --mark 455,398=9,1.5
  cloudypoints mount gate.jpg --calibration camera.toml --distances 3 5.83 5 5 5.83 3 \\
      --mark 412,633 --mark 887,640 --mark 801,402 --mark 455,398

Pixels are u,v of the picture, from its upper left. Ground places are x,y in metres: forward and
left of where the camera's foot shall be counted from. Distances are 1-2 1-3 1-4 2-3 2-4 3-4.
"""


# What the camera may be told to be: above, below, unit.
_RANGES = {"hfov": (1, 170, "°"), "height": (0, 1000, "m"), "speed": (0, 150, "m/s")}
_PIXEL = re.compile(r"(-?\d+(?:\.\d*)?),(-?\d+(?:\.\d*)?)")
_NEGATIVE = re.compile(r"-[\d.]")  # begins the value of an argument, and no option


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "mount",
        help="height, pitch and roll from a drive, a horizon or marks",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE", help="a drive, or a picture of the view")
    parser.add_argument("--calibration", metavar="FILE", help="the lens (cloudypoints calibrate)")
    parser.add_argument("--hfov", type=float, metavar="DEG", help="without one: the field of view")
    parser.add_argument("--speed", type=float, metavar="M/S", help="of the drive, if it was steady")
    parser.add_argument("--height", type=float, metavar="M", help="measured with a rule")
    parser.add_argument(
        "--horizon", type=_pixel, nargs="+", action="extend", metavar="U,V", help="points on it"
    )
    parser.add_argument(
        "--mark", action="append", metavar="U,V[=X,Y]", help="a point on the ground"
    )
    parser.add_argument(
        "--distances", type=float, nargs=6, metavar="M", help="between four marks without places"
    )
    parser.add_argument("--model", metavar="FILE", help="a metric depth model, for the height")
    parser.add_argument(
        "--seconds", type=time_s, default=20.0, metavar="S", help="of the drive to look at (20)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("camera.toml"), metavar="FILE",
        help="the whole camera, and beside it a picture with the ground drawn on (camera.toml)",
    )  # fmt: skip
    parser._negative_number_matcher = _NEGATIVE  # that of argparse knows no -3,301
    parser.set_defaults(command=mount)


def mount(options: argparse.Namespace) -> int:
    """Measure, write the TOML and the picture, and say what is known."""
    try:
        from cloudypoints import mounting
        from cloudypoints.calibration import dump_camera
        from cloudypoints.picture import save_picture
    except ModuleNotFoundError as error:
        raise MissingExtra("cloudypoints mount", "node") from error
    _check_choice(options)
    with closing(_frames(options)) as frames:
        first = next(frames, None)
        if first is None:
            raise SourceError(f"{options.source}: there is no picture in it")
        camera = _camera(options, first)
        estimate = _estimate(options, camera, itertools.chain([first], frames))
    found = replace(camera, mount=estimate.mount)
    picture = options.output.with_suffix(".png")
    save_picture(picture, mounting.mount_picture(first.picture, found))
    try:
        options.output.write_text(dump_camera(found), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{options.output}: cannot be written: {error.strerror}") from error
    _tell(estimate)
    print(f"{picture} shows it; {options.output} is for --calibration")
    return 0


def _check_choice(options: argparse.Namespace) -> None:
    """Raises ConfigError for arguments that contradict each other or leave the height open."""
    _check_values(options)
    if options.horizon and options.mark:
        raise ConfigError("mount: --horizon and --mark are two ways; choose one")
    if options.distances and not options.mark:
        raise ConfigError("mount: --distances are between marks; give four --mark U,V")
    if options.mark:
        return
    if options.horizon and options.height is None:
        raise ConfigError("mount: a horizon does not tell the height; measure it: --height M")
    if options.height is None and options.speed is None and options.model is None:
        raise ConfigError(
            "mount: a drive alone does not tell the height; give --speed M/S (steady), "
            "--height M (a rule) or --model FILE (metric depth)"
        )


def _check_values(options: argparse.Namespace) -> None:
    """Raises ConfigError for one argument that cannot be, whatever the others say."""
    for name, (low, high, unit) in _RANGES.items():
        value = getattr(options, name)
        if value is not None and not low < value < high:
            raise ConfigError(
                f"mount: --{name} {value:g} {unit}: must be above {low} and below {high} {unit}"
            )
    if options.output.suffix.lower() != ".toml":
        raise ConfigError(f"mount: -o {options.output}: the file of a camera ends in .toml")
    picture = options.output.with_suffix(".png")
    if picture.resolve() == Path(options.source).resolve():
        raise ConfigError(
            f"mount: beside {options.output} the picture {picture} is written, which would replace "
            f"the one that is looked at: choose another -o"
        )


def _frames(options: argparse.Namespace) -> Generator[Frame, None, None]:
    """The frames of the drive, or the one of the picture."""
    from cloudypoints.capture import CaptureSettings, frames, open_source
    from cloudypoints.capture.folder import EXTENSIONS

    path = Path(options.source)
    if path.suffix.lower() in EXTENSIONS:
        yield _still(path)
        return
    with closing(open_source(options.source, CaptureSettings(pace=0))) as source:
        begin_ns = None
        for frame in frames(source):
            begin_ns = frame.stamp_ns if begin_ns is None else begin_ns
            if frame.stamp_ns - begin_ns > options.seconds * 1e9:
                return
            yield frame


def _still(path: Path) -> Frame:
    from cloudypoints.capture import Frame
    from cloudypoints.capture.folder import read_picture

    picture = read_picture(path)
    if picture is None:
        raise ConfigError(f"{path}: not a picture that can be read")
    return Frame(picture, 0, 0, "media", 0)


def _camera(options: argparse.Namespace, frame: Frame) -> Camera:
    """The lens that is known, for pictures of this size; the mount as far as it is told."""
    from cloudypoints.capture import CaptureSettings, open_source
    from cloudypoints.config import AssumedCamera, CameraSettings

    height_px, width_px = frame.picture.shape[:2]
    assumed = {"horizontal_fov_deg": options.hfov, "height_m": options.height}
    told = AssumedCamera(**{key: value for key, value in assumed.items() if value is not None})
    settings = CameraSettings(
        source=options.source, calibration=options.calibration or "", assumed=told
    )
    known = settings.calibrated()
    if known is None and options.source == "demo:":
        with closing(open_source("demo:", CaptureSettings())) as demo:
            known = demo.camera
    if known is None:
        print(f"no --calibration: a field of view of {told.horizontal_fov_deg:g}° is assumed")
        return told.camera(width_px, height_px)
    if options.height is not None:
        known = replace(known, mount=replace(known.mount, height_m=options.height))
    return known.behind(width_px, height_px)


def _estimate(options: argparse.Namespace, camera: Camera, frames: Iterator[Frame]) -> Estimate:
    from cloudypoints import mounting

    if options.horizon:
        return mounting.from_horizon(camera, np.array(options.horizon))
    if options.mark:
        marks = [_mark(text) for text in options.mark]
        pixels = np.array([pixel for pixel, _ in marks])
        if options.distances:
            return mounting.from_distances(camera, pixels, np.array(options.distances))
        places = [place for _, place in marks if place is not None]
        if len(places) < len(marks):
            raise ConfigError("mount: marks are U,V=X,Y; or U,V with --distances")
        return mounting.from_marks(camera, pixels, np.array(places))
    return _from_drive(options, camera, frames)


def _from_drive(options: argparse.Namespace, camera: Camera, frames: Iterator[Frame]) -> Estimate:
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from cloudypoints import mounting

    kept: list[Frame] = []
    with Progress(
        TextColumn("following the road: {task.completed} pictures"),
        TimeElapsedColumn(),
        transient=True,
    ) as bar:
        task = bar.add_task("", total=None)

        def seen(done: int) -> None:
            bar.update(task, completed=done)

        watched = _some_kept(frames, kept) if options.model else frames
        speed_mps = math.nan if options.speed is None else options.speed
        estimate = mounting.from_drive(watched, camera, speed_mps=speed_mps, progress=seen)
    if not options.model:
        return estimate
    from cloudypoints.inference import Model

    return mounting.height_by_model(estimate, kept, camera, Model.open(options.model))


def _some_kept(frames: Iterator[Frame], kept: list[Frame]) -> Iterator[Frame]:
    """Passes all frames on and keeps every 25th, for the model."""
    for index, frame in enumerate(frames):
        if index % 25 == 0:
            kept.append(frame)
        yield frame


def _tell(estimate: Estimate) -> None:
    for name, sigma in estimate.sigma.items():
        factor, unit = (math.degrees(1), "°") if name.endswith("_rad") else (1.0, "m")
        value, error = factor * getattr(estimate.mount, name), factor * sigma
        known = f"± {error:.3f} {unit}" if math.isfinite(sigma) else "as told, not measured"
        print(f"  {name.partition('_')[0]:<7}{value:9.3f} {unit}  {known}")
    for note in estimate.notes:
        print(f"note: {note}")


def _pixel(text: str) -> tuple[float, float]:
    match = _PIXEL.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r}: must be like 412,633")
    return float(match[1]), float(match[2])


def _mark(text: str) -> tuple[tuple[float, float], tuple[float, float] | None]:
    """U,V or U,V=X,Y. Raises ConfigError."""
    pixel, _, place = text.partition("=")
    try:
        return _pixel(pixel), _pixel(place) if place else None
    except argparse.ArgumentTypeError as error:
        raise ConfigError(f"--mark {text}: must be like 412,633=4,1.5") from error
