"""Models that give no metres, no depth, or need a background: what a node makes of each."""

import numpy as np
import pytest

from cloudypoints.capture import Frame
from cloudypoints.errors import ConfigError, NoMessage
from cloudypoints.inference import Model
from cloudypoints.messages import KIND_OF, Image, Mask, Obstacles, Relative, Status
from cloudypoints.pipeline import Node, rig
from cloudypoints.pipeline.perception import Perception
from cloudypoints.timing import utc_ns
from onnx_models import RELATIVE, SEGMENTATION, TWO_INPUT, byte_model, saved
from staged import Gate, Staged, listening, opener, settings

NS = 1_000_000_000


def passing(index: int, width: int, height: int) -> np.ndarray:
    """Grey 40, and in frames 8 to 11 something of 240 in the left half."""
    picture = np.full((height, width, 3), 40, np.uint8)
    picture[:, : width // 2] = 240 if 8 <= index < 12 else 40
    return picture


def seer(model: bytes, **camera) -> Perception:
    chosen = settings("unused", camera={"front": {"source": "demo:"} | camera})
    return Perception("front", chosen, Model(model, "bytes.onnx"), camera=None)


def frame(index: int, picture: np.ndarray, stamp_ns: int, *, restart: bool = False) -> Frame:
    return Frame(picture, index, stamp_ns, "media", 1, restart)


def kinds(messages) -> list[str]:
    return [KIND_OF[type(message)] for message in messages]


def of(kind, messages):
    return next(message for message in messages if isinstance(message, kind))


def heard_by(node: Node, *sources: Gate) -> list:
    """All that a node with recorded sources publishes, once both lanes deliver."""
    messages: list = []
    with listening(node) as subscription:
        while not {Image, Status} <= {type(message) for message in messages}:
            messages.append(subscription.read(10))
        for source in sources:
            source.go.set()
        while True:
            over = node.wait(0)
            try:
                messages.append(subscription.read(0.5))
            except NoMessage:
                if over:
                    return messages


@pytest.mark.parametrize(
    ("changes", "published"),
    [
        (RELATIVE, {"relative", "image"}),
        (SEGMENTATION, {"labels", "image"}),
        ({}, {"cloud", "depth", "obstacles", "scale", "image"}),
    ],
    ids=["relative", "segmentation", "metric"],
)
def test_a_node_publishes_what_its_model_gives_and_no_more(tmp_path, changes, published):
    source = Gate(5)
    chosen = settings(saved(tmp_path, byte_model(**changes)))
    with Node(chosen, open_source=opener(front=source)) as node:
        messages = heard_by(node, source)
    assert set(kinds(messages)) == published | {"status", "setup"}
    (*_, status) = [message for message in messages if isinstance(message, Status)]
    assert status.latency_ms.keys() >= {"inference", "total"}
    assert 0 <= status.statistics["depth_unknown"] <= 1


def test_relative_depth_is_what_the_model_said_and_says_that_it_has_no_metres():
    picture = passing(8, 64, 48)
    messages = seer(byte_model(**RELATIVE)).see(frame(0, picture, 0))
    relative = of(Relative, messages)
    np.testing.assert_array_equal(relative.nearness, picture[..., 0].astype(np.float32))
    assert (relative.form, relative.header.scale) == ("affine_inverse", "assumed")
    assert kinds(messages) == ["setup", "relative", "image"]


def test_what_a_person_masks_out_is_unknown_in_relative_depth_too():
    left = seer(byte_model(**RELATIVE), region=[0.0, 0.0, 0.5, 1.0])
    nearness = of(Relative, left.see(frame(0, passing(0, 64, 48), 0))).nearness
    assert np.isfinite(nearness[:, :32]).all()
    assert np.isnan(nearness[:, 32:]).all()


def test_a_scale_turns_relative_depth_into_a_cloud():
    chosen = settings("unused", cloud={"scale": 80.0, "edge_m": 0.0}, ground={"fit": False})
    inverse = byte_model(**RELATIVE | {"depth": "inverse", "unit": "1/m"})
    perception = Perception("front", chosen, Model(inverse, "i.onnx"), camera=None)
    messages = perception.see(frame(0, passing(0, 64, 48), 0))
    depth = next(message for message in messages if KIND_OF[type(message)] == "depth")
    assert np.unique(depth.depth_m).tolist() == [2.0]  # 80 / 40
    assert {"cloud", "obstacles"} <= set(kinds(messages))
    assert "relative" not in kinds(messages)


def test_a_ledger_says_that_a_frame_is_projected_when_its_cloud_is_there(monkeypatch):
    filled = rig.organised_points
    at_ns = []

    def stamped(*arguments):
        at_ns.append(utc_ns())
        return filled(*arguments)

    monkeypatch.setattr(rig, "organised_points", stamped)
    metric = byte_model(depth="metric", unit="m")
    messages = seer(metric).see(frame(0, passing(0, 64, 48), 0))
    ledgers = [message.header.ledger for message in messages if KIND_OF[type(message)] == "cloud"]
    assert len(ledgers) == len(at_ns) == 1
    assert ledgers[0].inference_end_ns <= at_ns[0] <= ledgers[0].projected_ns


def test_a_model_that_needs_a_background_asks_for_one():
    with pytest.raises(ConfigError, match=r"two-input compares .* --background FILE"):
        seer(byte_model(**TWO_INPUT))
    with pytest.raises(ConfigError, match="background is set, but relative takes none"):
        seer(byte_model(**RELATIVE), background="median:2")


def test_the_mask_is_what_differs_from_the_picture_on_file(tmp_path):
    import cv2

    path = tmp_path / "empty.png"
    cv2.imwrite(str(path), np.full((96, 128, 3), 40, np.uint8))
    perception = seer(byte_model(**TWO_INPUT), background=str(path))
    messages = perception.see(frame(8, passing(8, 64, 48), 0))
    mask = of(Mask, messages).mask
    assert (mask[:, :32] == 200).all()
    assert not mask[:, 32:].any()
    assert kinds(messages)[-2:] == ["mask", "image"]
    assert "background" not in messages[0].document.replace('"background": "file"', "")


def test_a_background_of_another_aspect_or_none_at_all_is_refused(tmp_path):
    import cv2

    square = tmp_path / "square.png"
    cv2.imwrite(str(square), np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(ConfigError, match=r"square\.png: 64×64 px, but .* 64×48"):
        seer(byte_model(**TWO_INPUT), background=str(square)).see(frame(0, passing(0, 64, 48), 0))
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        seer(byte_model(**TWO_INPUT), background=str(tmp_path / "none.png"))
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(ConfigError, match="not a picture"):
        seer(byte_model(**TWO_INPUT), background=str(tmp_path / "text.png"))


def test_pictures_alone_are_published_while_the_background_is_learned():
    perception = seer(byte_model(**TWO_INPUT), background="median:0.8")
    seen = [perception.see(frame(i, passing(i, 64, 48), i * NS // 25)) for i in range(25)]
    assert [kinds(messages) for messages in seen[1:20]] == [["obstacles", "image"]] * 19
    waiting = of(Obstacles, seen[1])
    assert (waiting.state, waiting.reason) == ("stale", "learning the background")
    assert np.isnan(waiting.range_m).all()
    # Frame 20 comes after 0.8 s; what stood there for 4 of 21 frames is not in their median.
    assert "mask" in kinds(seen[20])
    assert not any(of(Mask, messages).mask.any() for messages in seen[20:])
    late = perception.see(frame(25, passing(8, 64, 48), NS))
    assert (of(Mask, late).mask[:, :32] == 200).all()


def test_after_a_seek_a_learned_background_stays_and_a_new_size_is_learned_anew():
    perception = seer(byte_model(**TWO_INPUT), background="median:0.1")
    for index in range(5):
        perception.see(frame(index, passing(0, 64, 48), index * NS // 25))
    assert "mask" in kinds(perception.see(frame(0, passing(0, 64, 48), 0, restart=True)))
    letterboxed = seer(
        byte_model(**TWO_INPUT, picture={"resize": "letterbox"}), background="median:0.1"
    )
    for index in range(5):
        letterboxed.see(frame(index, passing(0, 64, 48), index * NS // 25))
    wider = letterboxed.see(frame(5, passing(0, 128, 48), NS))
    assert kinds(wider) == ["setup", "obstacles", "image"]


def test_the_pictures_of_a_recording_learn_the_same_background():
    first = seer(byte_model(**TWO_INPUT), background="median:0.8")
    again = seer(byte_model(**TWO_INPUT), background="median:0.8")
    masks = 0
    for index in range(30):
        messages = first.see(frame(index, passing(index % 13, 64, 48), index * NS // 25))
        image = of(Image, messages)
        repeated = again.see_again(image.picture, (64, 48), image.header, restart=False)
        assert kinds(repeated) == kinds(messages)
        if "mask" in kinds(messages):
            masks += 1
            np.testing.assert_array_equal(of(Mask, repeated).mask, of(Mask, messages).mask)
    assert masks == 10


def test_two_cameras_learn_their_own_backgrounds_and_are_inferred_together(tmp_path):
    def bright(_index: int, width: int, height: int) -> np.ndarray:
        return np.full((height, width, 3), 200, np.uint8)

    sources = {"a": Gate(40, paint=passing), "b": Gate(40, paint=bright)}
    document = {
        name: {"source": name, "background": f"median:{length_s}"}
        for name, length_s in (("a", 0.8), ("b", 0.4))
    }
    chosen = settings(saved(tmp_path, byte_model(**TWO_INPUT)), camera=document)
    del chosen.camera["front"]
    with Node(chosen, open_source=opener(**sources)) as node:
        messages = heard_by(node, *sources.values())
    masks = [message for message in messages if isinstance(message, Mask)]
    assert {message.header.camera for message in masks} == {"a", "b"}
    assert not any(message.mask.any() for message in masks)
    reasons = {m.reason for m in messages if isinstance(m, Status)}
    assert "learning the background: 0 of 0.8 s" in reasons
    assert "" in reasons


def test_obstacles_are_not_called_stale_where_nobody_looks_for_them(tmp_path):
    chosen = settings(saved(tmp_path, byte_model(**SEGMENTATION)), publisher={"stale_after_s": 0.1})
    with (
        Node(chosen, open_source=opener(front=Staged(1, live=True))) as node,
        listening(node, "obstacles", "status") as subscription,
    ):
        said = [subscription.read(10) for _ in range(2)]  # over a second of silence
    assert not any(KIND_OF[type(message)] == "obstacles" for message in said)
