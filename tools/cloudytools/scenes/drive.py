"""`python -m cloudytools.scenes.drive --out FOLDER`: render the embedded drive, its camera and its
truth.

20 s at 20 frames a second, 640×360: `drive.mp4` (H.264), `drive.toml` (calibration),
`drive_truth.npz` (exact obstacle distances). The picture is rendered at twice the size and
averaged; distances come from the exact depth at the centres of the final pixels.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from cloudypoints.calibration import dump_camera
from cloudytools.scenes.develop import Film, developed
from cloudytools.scenes.drive_movers import FPS, FRAMES
from cloudytools.scenes.drive_truth import Truth, save_truth, truth_of
from cloudytools.scenes.drive_world import CAMERA, LIGHT, Town, build_town, ego_course
from cloudytools.scenes.sample import Sample
from cloudytools.scenes.shade import depth_and_labels, render, shrunk

SUPERSAMPLING = 2
CRFS = (18.0, 34.0)  # x264's quality: too large, small enough
MOST_BYTES = 4_000_000
FILM = Film(
    gain=0.62,
    contrast=1.1,
    saturation=1.28,
    vignette=0.10,
    bloom=0.04,
    noise=0.0,
    sharpen=0.15,
    black=-0.01,
)


@cache
def town() -> Town:
    """The drive's town, built once a process."""
    return build_town()


def render_drive_frame(frame: int, supersampling: int = SUPERSAMPLING) -> Sample:
    """Frame 0..399 of the drive with its exact depth and labels; the camera is the drive's."""
    world, camera = town().world(frame), town().camera(frame)
    k = camera.intrinsics
    large = camera.resized(k.width_px * supersampling, k.height_px * supersampling)
    colour = shrunk(render(world, large, LIGHT).colour, supersampling)
    depth_m, labels = depth_and_labels(world, camera)
    return Sample(developed(colour, FILM), depth_m, labels, CAMERA)


def drive_depth(frame: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Only the exact depth (H, W) and labels of a frame: much faster than its picture."""
    return depth_and_labels(town().world(frame), town().camera(frame))


def main(arguments: Sequence[str] | None = None) -> int:
    """Do as the command line says; the exit code."""
    options = _parser().parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    frames = range(0, FRAMES, options.every)
    console = Console(stderr=True)
    shots = list(
        track(_rendered(frames, options.workers), "rendering", len(frames), console=console)
    )
    size = _write_small_enough(options.out / "drive.mp4", [shot[0] for shot in shots])
    console.print(f"drive.mp4: {size / 1e6:.2f} MB")
    (options.out / "drive.toml").write_text(dump_camera(CAMERA))
    if options.every == 1:
        save_truth(options.out / "drive_truth.npz", [shot[1] for shot in shots], ego_course()[1])
    return 0


def _frame(frame: int) -> tuple[NDArray[np.uint8], Truth]:
    """One frame with its truth: what a worker does."""
    shot = render_drive_frame(frame)
    return shot.image, truth_of(shot.depth_m, shot.labels, CAMERA)


def _rendered(frames: range, workers: int) -> Iterator[tuple[NDArray[np.uint8], Truth]]:
    """All frames in order, rendered in other processes."""
    # Forked children of a process that has cast rays hang in Embree's threads: start fresh ones.
    with ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=os.nice, initargs=(10,)
    ) as pool:
        yield from pool.map(_frame, frames)


def _write_small_enough(path: Path, pictures: Sequence[NDArray[np.uint8]]) -> int:
    """Encode at the best quality that stays below `MOST_BYTES`; the size in bytes."""
    good, bad = CRFS
    while bad - good > 0.25:
        middle = (good + bad) / 2
        _write_video(path, pictures, middle)
        good, bad = (good, middle) if path.stat().st_size <= MOST_BYTES else (middle, bad)
    _write_video(path, pictures, bad)
    return path.stat().st_size


def _write_video(path: Path, pictures: Sequence[NDArray[np.uint8]], crf: float) -> None:
    """H.264 with a key frame a second."""
    part = path.with_suffix(".part.mp4")
    with av.open(str(part), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = CAMERA.intrinsics.width_px, CAMERA.intrinsics.height_px
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, FPS)
        stream.options = {"crf": str(crf), "preset": "veryslow", "g": "20", "keyint_min": "20"}
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    part.replace(path)


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m cloudytools.scenes.drive", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the three files")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--every", type=int, default=1, help="render every n-th frame, for a look")
    return parser


if __name__ == "__main__":
    sys.exit(main())
