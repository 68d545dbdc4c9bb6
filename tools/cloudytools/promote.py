"""The registry: `python -m cloudytools.promote FILE --as NAME --evaluation JSON`.

A file becomes NAME's champion only if its evaluation is not worse than the champion's: none of the
figures that decide (AbsRel or WHDR, mIoU, mask IoU, as far as both have them). Both must have been
measured on equal data (`cloudytools.evaluate dataset ... --json`). The registry is MLflow's, in the
SQLite file of the runs; every promoted file is kept there.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudypoints.errors import CloudyPointsError, ConfigError, ModelError
from cloudytools.evaluate.dataset import MAIN
from cloudytools.tracking import client

CHAMPION = "champion"  # the alias of the version that is in use
_UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # no such name; no such alias

_EXAMPLES = """examples:
  python -m cloudytools.evaluate dataset streets cache/streets --model street.onnx --json new.json
  python -m cloudytools.promote street.onnx --as street --evaluation new.json
"""


def promote(file: Path, name: str, evaluation: Path, database: Path) -> tuple[int, str]:
    """Register the file and make it the champion; its version, and what was compared.

    Raises ConfigError where the evaluation is not of this file or not comparable with the
    champion's, ModelError where it is worse.
    """
    measured = _measured(file, evaluation)
    registry = client(database)
    before = _champion(registry, name)
    compared = "the first of its name"
    if before is not None:
        compared = _compared(measured, before)
    return _register(registry, file, name, measured), compared


def _measured(file: Path, evaluation: Path) -> dict[str, Any]:
    """Digest, data and figures of the evaluation, which must be of this very file."""
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        report = json.loads(evaluation.read_text(encoding="utf-8"))
        mine = [model for model in report["models"] if model["digest"] == digest]
        fingerprint = report["fingerprint"]
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{evaluation}: not written by `cloudytools.evaluate dataset --json`: {error}"
        ) from error
    if not mine:
        raise ConfigError(f"{evaluation}: does not measure {file} (another digest)")
    deciding = {n: v for n, v in mine[0]["figures"].items() if n in MAIN}
    if not deciding:
        raise ConfigError(f"{evaluation}: has none of {', '.join(MAIN)}, which decide")
    return {"digest": digest, "fingerprint": fingerprint, "figures": deciding}


def _champion(registry: Any, name: str) -> dict[str, Any] | None:
    from mlflow.exceptions import MlflowException

    try:
        tags = registry.get_model_version_by_alias(name, CHAMPION).tags
    except MlflowException as error:
        if error.error_code in _UNKNOWN:
            return None
        raise ModelError(f"the registry cannot be read: {error}") from error
    return {**tags, "figures": json.loads(tags["figures"])}


def _compared(new: Mapping[str, Any], old: Mapping[str, Any]) -> str:
    """The figures side by side. Raises where they cannot be compared or the new one is worse."""
    if new["fingerprint"] != old["fingerprint"]:
        raise ConfigError(
            f"measured on data {new['fingerprint']}, the champion on {old['fingerprint']}: "
            f"evaluate both on equal data"
        )
    lost = sorted(set(old["figures"]) - set(new["figures"]))
    if lost:
        raise ModelError(f"not promoted: it has no {', '.join(lost)}, which the champion has")
    pairs = {n: (new["figures"][n], value) for n, value in old["figures"].items()}
    words = ", ".join(f"{n} {one:.4g} after {other:.4g}" for n, (one, other) in pairs.items())
    worse = [n for n, (one, other) in pairs.items() if (one > other if MAIN[n] else one < other)]
    if worse:
        raise ModelError(f"not promoted, worse in {', '.join(worse)}: {words}")
    return words


def _register(registry: Any, file: Path, name: str, measured: Mapping[str, Any]) -> int:
    from mlflow.exceptions import MlflowException

    with contextlib.suppress(MlflowException):  # it is there already
        registry.create_registered_model(name)
    run = registry.create_run(_experiment(registry), run_name=f"promote {name}")
    registry.log_artifact(run.info.run_id, str(file))
    registry.set_terminated(run.info.run_id)
    source = f"{run.info.artifact_uri}/{file.name}"
    tags = {**measured, "figures": json.dumps(measured["figures"])}
    version = registry.create_model_version(name, source, run.info.run_id, tags=tags)
    registry.set_registered_model_alias(name, CHAMPION, version.version)
    return int(version.version)


def _experiment(registry: Any) -> str:
    found = registry.get_experiment_by_name("promoted")
    if found is not None:
        return str(found.experiment_id)
    database = Path(registry.tracking_uri.removeprefix("sqlite:///"))
    return str(registry.create_experiment("promoted", (database.parent / "artefacts").as_uri()))


def command(arguments: list[str] | None = None) -> int:
    """The command line; the exit code: 2 where it was not promoted."""
    chosen = _parser().parse_args(arguments)
    try:
        version, compared = promote(
            chosen.file, getattr(chosen, "as"), chosen.evaluation, chosen.runs / "mlflow.db"
        )
    except CloudyPointsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{chosen.file}: {getattr(chosen, 'as')} version {version}; {compared}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cloudytools.promote",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="an exported ONNX file")
    parser.add_argument("--as", required=True, metavar="NAME", help="the name in the registry")
    parser.add_argument("--evaluation", type=Path, required=True, metavar="JSON")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="where mlflow.db lies (default: runs)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(command())
