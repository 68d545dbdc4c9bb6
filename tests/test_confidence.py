"""Confidence of organised clouds: whole on a wall, little at edges, none that is made up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cloudypoints.confidence import confidence_of
from cloudypoints.errors import ConfigError
from cloudypoints.formats import save_cloud
from cloudypoints.messages import POINT, Cloud, Header


def cloud_of(depth_m: np.ndarray) -> np.ndarray:
    points = np.zeros(depth_m.shape, POINT)
    points["z"] = depth_m
    return points


@given(
    arrays(np.float32, (5, 6), elements=st.one_of(st.just(np.nan), st.floats(0.5, 100, width=32)))
)
def test_it_lies_between_0_and_1_and_is_unknown_where_the_point_is(depth_m):
    confidence = confidence_of(cloud_of(depth_m))
    assert (np.isnan(confidence) == np.isnan(depth_m)).all()
    known = confidence[np.isfinite(depth_m)]
    assert ((known > 0) & (known <= 1)).all()


@given(st.floats(0.1, 10))
def test_a_scene_twice_as_large_is_as_sure(factor):
    depth_m = np.random.default_rng(0).uniform(2, 40, (6, 7))
    once, again = confidence_of(cloud_of(depth_m)), confidence_of(cloud_of(factor * depth_m))
    assert np.allclose(once, again, atol=1e-4)


def test_a_wall_is_sure_and_its_edge_is_not():
    depth_m = np.full((4, 8), 20.0)
    depth_m[:, :4] = 5.0
    confidence = confidence_of(cloud_of(depth_m))
    assert (confidence[:, :3] == 1).all()
    assert (confidence[:, 5:] == 1).all()
    #  the far side of the edge: its neighbour's inverse depth is 4 times its own, a step of 3
    assert confidence[:, 4] == pytest.approx(0.1 / 3, rel=0.01)


def test_a_step_as_large_as_the_models_error_leaves_0_7():
    depth_m = 1 / (1 / 10 * (1 + 0.1 * np.arange(2.0)))[None]
    assert confidence_of(cloud_of(depth_m), 0.1)[0, 0] == pytest.approx(0.5**0.5, rel=1e-4)


def test_a_compact_cloud_has_lost_its_neighbours(tmp_path):
    points = cloud_of(np.full((4, 8), 5.0))
    with pytest.raises(ConfigError, match="organised"):
        confidence_of(points.ravel())
    header = Header("front", vehicle_from_camera=tuple(np.eye(4).ravel().tolist()))
    for cloud, named in ((points, True), (points.ravel(), False)):
        save_cloud(tmp_path / "cloud.npz", Cloud(header, cloud))
        with np.load(tmp_path / "cloud.npz") as stored:
            assert ("confidence" in stored) is named
