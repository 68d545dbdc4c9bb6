"""What the project promises about itself: what it loads, what it names, what a wheel holds."""

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import pytest

import cloudypoints
from cloudypoints import errors
from cloudypoints.messages import TOPICS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "node" / "cloudypoints"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MODULES = [".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in SOURCES]

# Modules without a test file of their own name, and where they are tested instead.
TESTED_ELSEWHERE = {
    "__main__": "test_cli runs it as a process",
    "capture.bag_log": "test_capture_topics plays bags of ROS 1 and ROS 2",
    "capture.mcap_log": "test_capture_topics plays MCAP files of several writers",
    "capture.container": "test_capture_video and test_capture_rtsp open what fails to",
    "capture.feed": "a protocol: test_capture_recorded and test_capture_live test what fits it",
    "capture.folder": "test_capture_recorded plays folders of pictures",
    "capture.place": "every test of videos and streams opens one",
    "capture.frame": "plain data, which every test of capture reads",
    "capture.sources": "every test of capture opens its sources with it",
    "errors": "a tree of names: its messages are tested where they are raised",
}


def fresh(script):
    """What a new interpreter prints."""
    command = [sys.executable, "-W", "error", "-c", script]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


LOADED = """
import json, sys
{work}
names = {{name.partition(".")[0] for name, module in sys.modules.items()
         if getattr(module, "__spec__", None)}}
print(json.dumps(sorted(names - set(sys.stdlib_module_names))))
"""


@pytest.mark.parametrize(
    "work",
    [
        "import cloudypoints",
        "import cloudypoints; cloudypoints.subscribe('tcp://127.0.0.1:9', 'cloud/front').close()",
        "from cloudypoints.publisher import Publisher; Publisher('tcp://127.0.0.1:*').close()",
    ],
)
def test_a_subscriber_loads_numpy_zmq_and_msgpack_alone(work):
    before = set(json.loads(fresh(LOADED.format(work=""))))
    after = set(json.loads(fresh(LOADED.format(work=work))))
    assert after - before == {"cloudypoints", "msgpack", "numpy", "zmq"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_node_does_not_know_the_workshop(path):
    text = path.read_text()
    assert not re.search(r"\b(torch|torchvision|lightning)\b", text)
    assert not re.search(r"^\s*(import|from) cloudytools", text, flags=re.MULTILINE)


def test_the_public_names_are_all_there_is():
    public = {
        name
        for name, value in vars(cloudypoints).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert set(cloudypoints.__all__) == public | {"__version__"}


def test_the_public_names_are_sorted_as_ruff_sorts_them():
    def rank(name):
        constant = name.isupper()
        return (0 if constant else 1 if name[0].isupper() else 2, name)

    assert cloudypoints.__all__ == sorted(cloudypoints.__all__, key=rank)


def test_every_error_and_every_message_is_public():
    raised = {name for name, value in vars(errors).items() if isinstance(value, type)}
    sent = {topic.type.__name__ for topic in TOPICS.values()}
    assert raised | sent <= set(cloudypoints.__all__)


@pytest.mark.parametrize("name", sorted(vars(errors)))
def test_every_error_stands_in_the_tree_that_is_drawn(name):
    value = getattr(errors, name)
    assert not isinstance(value, type) or name in errors.__doc__
    assert not isinstance(value, type) or issubclass(value, errors.CloudyPointsError)


@pytest.mark.parametrize("module", [name for name in MODULES if not name.endswith("__init__")])
def test_every_module_has_a_test_file(module):
    parts = module.split(".")
    candidates = ["_".join(parts[: depth + 1]) for depth in range(len(parts))]
    files = [ROOT / "tests" / f"test_{name}.py" for name in candidates]
    assert any(file.exists() for file in files) or module in TESTED_ELSEWHERE


def test_reasons_are_given_for_modules_that_exist_and_lack_a_test():
    assert set(TESTED_ELSEWHERE) <= set(MODULES)
    names = [name.replace(".", "_") for name in TESTED_ELSEWHERE]
    assert not any((ROOT / "tests" / f"test_{name}.py").exists() for name in names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_opens_with_a_sentence_and_stays_readable(path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 400


def test_every_name_of_the_version_is_one():
    assert re.fullmatch(r"\d+\.\d+\.\d+", cloudypoints.__version__)
    assert f'version = "{cloudypoints.__version__}"' in (ROOT / "pyproject.toml").read_text()
    assert importlib.metadata.version("cloudypoints") == cloudypoints.__version__


# --- The wheel ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of the tree as it is, built without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_a_wheel_holds_what_runs_and_nothing_else(wheel):
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    runs = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == runs


@pytest.mark.parametrize("suffix", ["onnx", "mp4", "npz", "toml"])
def test_a_wheel_holds_the_assets_byte_by_byte(suffix, wheel):
    for path in (PACKAGE / "assets").glob(f"*.{suffix}"):
        assert wheel.read(f"cloudypoints/assets/{path.name}") == path.read_bytes()


def test_a_wheel_names_its_command_its_licence_and_its_base_requirements(wheel):
    names = [name for name in wheel.namelist() if ".dist-info/" in name]
    notes = {Path(name).name: wheel.read(name).decode() for name in names}
    assert "cloudypoints = cloudypoints.cli:main" in notes["entry_points.txt"]
    assert "MIT License" in notes["LICENSE"]
    needed = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", notes["METADATA"], flags=re.MULTILINE)
    assert sorted(needed) == ["msgpack", "numpy", "pyzmq"]
