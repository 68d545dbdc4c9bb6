"""`cloudypoints models`: public models listed, fetched, adopted and tried."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudypoints.cli.options import output_path, time_s
from cloudypoints.errors import MissingExtra

if TYPE_CHECKING:
    from cloudypoints.models import Preset

_EPILOG = """\
examples:
  cloudypoints models list                                   what there is, and its licences
  cloudypoints models pull depth-anything-v2-small-outdoor   fetch it and make it runnable
  cloudypoints models pull midas-v21-small --size 256x256
  cloudypoints models adopt mine.onnx depth-anything-v2-small --size 392x252
  cloudypoints models check mine.adopted.onnx --on street.jpg --picture seen.png

What a pulled or adopted file is run with:
  cloudypoints run camera:0 --model FILE                     relative depth: see --scale

Mind the licences: some models are not for commercial use. Presets were written from what their
authors publish; try a model with `check` before you believe it.
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "models",
        help="public models: list, pull, adopt, check",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    todo = parser.add_subparsers(title="what to do", metavar="TODO", required=True)
    _add_list(todo)
    _add_pull(todo)
    _add_adopt(todo)
    _add_check(todo)


def _add_list(todo: Any) -> None:
    parser = todo.add_parser("list", help="the presets: what they give, size, licence, source")
    parser.add_argument("--json", action="store_true", help="all that is known, for programs")
    _add_cache(parser)
    parser.set_defaults(command=list_models)


def _add_pull(todo: Any) -> None:
    parser = todo.add_parser(
        "pull", help="fetch a model into the cache and adopt it; goes on where it was cut off"
    )
    parser.add_argument("preset", metavar="PRESET", help="a name from `models list`")
    _add_size(parser)
    _add_cache(parser)
    parser.add_argument("--source", default="", metavar="URL", help="https:// or hf:, in its place")
    parser.add_argument("--sha256", default="", metavar="HEX", help="the digest that it must have")
    parser.add_argument(
        "--patience", type=time_s, default=30.0, metavar="S", help="without a byte (default: 30)"
    )
    parser.set_defaults(command=pull)


def _add_adopt(todo: Any) -> None:
    parser = todo.add_parser(
        "adopt", help="write into a copy of any ONNX file what its numbers mean, by a preset"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="an ONNX file")
    parser.add_argument("preset", metavar="PRESET", help="a name from `models list`")
    parser.add_argument(
        "--out", type=output_path, metavar="FILE", help="the copy (default: NAME.adopted.onnx)"
    )
    _add_size(parser)
    parser.set_defaults(command=adopt)


def _add_check(todo: Any) -> None:
    parser = todo.add_parser("check", help="run a model once on a picture and draw what it sees")
    parser.add_argument("file", metavar="FILE", help="an adopted or exported ONNX file")
    parser.add_argument(
        "--on", default="demo:", metavar="SOURCE", help="a picture, video or folder (demo:)"
    )
    parser.add_argument("--hfov", type=float, default=60.0, metavar="DEG", help="its view (60)")
    parser.add_argument("--background", default="", metavar="FILE", help="if it takes one")
    parser.add_argument("--provider", default="auto", help="what runs it (auto)")
    parser.add_argument(
        "--picture",
        type=output_path,
        default=Path("model-check.png"),
        metavar="PNG",
        help="where the picture goes (default: %(default)s)",
    )
    parser.set_defaults(command=check)


def _add_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--size",
        type=_size,
        metavar="WxH",
        help="the grid to run at, where the file leaves it open (default: the preset's)",
    )


def _add_cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cache", type=Path, metavar="FOLDER", help="in place of ~/.cache/cloudypoints/models"
    )


def list_models(options: argparse.Namespace) -> int:
    """Show what is known of each preset."""
    models = _models()
    if options.json:
        document = [preset.model_dump(mode="json") for preset in models.presets().values()]
        print(json.dumps(document, indent=2))
        return 0
    from rich.console import Console
    from rich.table import Table

    folder = options.cache or models.cache_folder()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("preset", "gives", "size", "file", "digest", "licence", "here"):
        table.add_column(column, overflow="fold")
    for preset in models.presets().values():
        table.add_row(*_row(preset, folder))
    console = Console()
    console.width = max(console.width, 120)  # a pipe is taken for 80 columns
    console.print(table)
    console.print(f"cache: {folder}", soft_wrap=True)
    return 0


def pull(options: argparse.Namespace) -> int:
    """Fetch a model, say what came, adopt it, say how to run it."""
    models = _models()
    preset = models.preset_of(options.preset)
    folder = options.cache or models.cache_folder()
    pulled = models.Pull(
        preset,
        folder,
        source=options.source,
        sha256=options.sha256,
        patience_s=options.patience,
    )
    print(f"{preset.name}: {preset.about}\nlicence: {preset.licence} ({preset.page})")
    _show_progress(preset.name, pulled.fetch())
    print(f"{pulled.path}: {pulled.told()}")
    out = _adopted_path(folder, preset)
    _adopt(pulled.path, out, preset, options.size)
    return 0


def adopt(options: argparse.Namespace) -> int:
    """Write the copy and say how to run it."""
    preset = _models().preset_of(options.preset)
    out = options.out or options.file.with_suffix(".adopted.onnx")
    _adopt(options.file, out, preset, options.size)
    return 0


def check(options: argparse.Namespace) -> int:
    """Run once, print what came, save the picture."""
    try:
        from cloudypoints.capture import CaptureSettings, open_source
        from cloudypoints.inference import Model
        from cloudypoints.models.trial import try_once
        from cloudypoints.picture import overview, save_picture
    except ImportError as error:
        raise MissingExtra("trying models", "node") from error
    model = Model.open(options.file, provider=options.provider)
    source = open_source(options.on, CaptureSettings(pace=0, mode="recorded"))
    try:
        frame = source.read()
    finally:
        source.close()
    trial = try_once(model, frame, hfov_deg=options.hfov, background=options.background)
    card = model.card
    print(f"{card.name}: {card.depth} depth, licence {card.licence or 'unknown'}")
    print(f"grid {card.picture.width_px}×{card.picture.height_px} px on {model.provider}")
    print(f"one picture takes {trial.inference_s * 1e3:.0f} ms")
    print(*trial.facts, sep="\n")
    save_picture(options.picture, overview(trial.instant))
    print(f"{options.picture}: what it sees")
    return 0


def _models() -> Any:
    """`cloudypoints.models`, which needs what the extras bring."""
    try:
        from cloudypoints import models
    except ModuleNotFoundError as error:
        raise MissingExtra("cloudypoints models", "zoo") from error
    return models


def _adopted_path(folder: Path, preset: Preset) -> Path:
    return folder / f"{preset.name}.onnx"


def _adopt(source: Path, out: Path, preset: Preset, size_px: tuple[int, int] | None) -> None:
    card = _models().adopt(source, out, preset, size_px)
    print(f"{out}: {card.picture.width_px}×{card.picture.height_px} px, {preset.about}")
    print(f"run it: cloudypoints run camera:0 --model {out}")


def _row(preset: Preset, folder: Path) -> tuple[str, ...]:
    width_px, height_px = preset.size_px
    file = f"{preset.megabytes:.0f} MB" if preset.megabytes else "?"
    return (
        preset.name,
        "categories" if preset.depth == "none" else preset.depth.replace("_", " "),
        f"{width_px}×{height_px}",
        file if preset.source else "none",
        preset.sha256[:8] or "unknown",
        preset.licence,
        "yes" if _adopted_path(folder, preset).exists() else "",
    )


def _show_progress(name: str, steps: Any) -> None:
    from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Bar(*columns) as bar:
        task = bar.add_task(name, total=None)
        for step in steps:
            bar.update(task, completed=step.done, total=step.total or None)


def _size(text: str) -> tuple[int, int]:
    """The argument of --size."""
    found = re.fullmatch(r"([1-9]\d{0,4})[x×]([1-9]\d{0,4})", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, as 392x252")
    return int(found[1]), int(found[2])
