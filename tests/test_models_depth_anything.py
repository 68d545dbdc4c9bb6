"""The real architecture of Depth Anything V2 small, weights random: exported, adopted, run."""

import numpy as np
import pytest

from cloudypoints.cli import main
from cloudypoints.messages import KIND_OF, Cloud, Relative
from cloudypoints.pipeline import Node
from staged import Gate, listening, opener, settings

# An export takes half a minute of a processor, and several where others want it too.
pytestmark = [pytest.mark.slow, pytest.mark.train, pytest.mark.timeout(600)]

WIDTH, HEIGHT = 98, 70
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def scene(index: int, width: int, height: int) -> np.ndarray:
    """Something to see, another one in each frame."""
    random = np.random.default_rng(max(index, 0))
    return random.integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def adopted(tmp_path_factory) -> str:
    from cloudytools.export.depth_anything import main as export

    folder = tmp_path_factory.mktemp("anything")
    path = str(folder / "anything.onnx")
    assert export([path, "--size", f"{WIDTH}x{HEIGHT}"]) == 0
    assert main(["models", "adopt", path, "depth-anything-v2-small-hf"]) == 0
    return str(folder / "anything.adopted.onnx")


def published(node: Node, sources: dict[str, Gate], kind: type) -> dict:
    """The newest message of this kind of each camera's last frame."""
    newest: dict = {}
    with listening(node, "relative", "cloud") as subscription:
        while len(newest) < len(sources):
            message = subscription.read(30)
            newest[message.header.camera] = message
        for source in sources.values():
            source.go.set()
        while any(message.header.frame < 2 for message in newest.values()):
            message = subscription.read(30)
            newest[message.header.camera] = message
    assert all(isinstance(message, kind) for message in newest.values())
    return newest


def test_the_node_says_of_each_camera_what_the_network_itself_says(adopted):
    import torch

    from cloudytools.export.depth_anything import network

    size = WIDTH, HEIGHT
    sources = {name: Gate(3, size=size, paint=scene) for name in ("a", "b")}
    document = {name: {"source": name} for name in sources}
    chosen = settings(adopted, camera=document)
    del chosen.camera["front"]
    with Node(chosen, open_source=opener(**sources)) as node:
        newest = published(node, sources, Relative)
    prepared = ((scene(2, *size) / 255 - MEAN) / STD).transpose(2, 0, 1)[None]
    with torch.no_grad():
        wanted = network()(torch.tensor(prepared, dtype=torch.float32)).numpy()[0]
    assert np.ptp(wanted) > 0.01
    for message in newest.values():
        assert (KIND_OF[type(message)], message.form) == ("relative", "affine_inverse")
        np.testing.assert_allclose(message.nearness, wanted, rtol=1e-3, atol=1e-4)


def test_with_the_ground_as_its_scale_it_gives_clouds(adopted):
    source = Gate(3, size=(WIDTH, HEIGHT), paint=scene)
    chosen = settings(adopted, cloud={"scale": "ground"})
    with Node(chosen, open_source=opener(front=source)) as node:
        newest = published(node, {"front": source}, Cloud)
    assert newest["front"].points.shape == (HEIGHT, WIDTH)
