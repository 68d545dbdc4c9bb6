"""Normals of organised clouds: exact on planes, true to their side at edges, else unknown."""

import numpy as np
import pytest

from cloudypoints.errors import ConfigError
from cloudypoints.formats import save_cloud
from cloudypoints.geometry import Distortion, Mount, rays_of
from cloudypoints.messages import POINT, Cloud, Header
from cloudypoints.normals import normals_of
from cloudypoints.projector import compact, organised_points
from ground_scenes import HEIGHT, WIDTH, camera_of, flat_ground, with_wall

MOUNT = Mount(1.5, 0.05, 0.1, 0.3)


def cloud_of(depth_m: np.ndarray, camera) -> np.ndarray:
    picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    return organised_points(depth_m, rays_of(camera), picture, None, np.empty(depth_m.shape, POINT))


@pytest.mark.parametrize("lens", [Distortion(), Distortion("plumb_bob", (-0.2, 0.05, 0, 0))])
def test_the_ground_faces_up(lens):
    camera = camera_of(MOUNT, lens)
    points = cloud_of(flat_ground(camera), camera)
    up = normals_of(points)[np.isfinite(points["z"])] @ MOUNT.vehicle_from_camera[:3, :3].T
    seen = np.isfinite(up).all(axis=-1)
    assert seen.mean() > 0.99
    assert up[seen][:, 2].min() > 0.9999
    assert np.allclose(np.linalg.norm(up[seen], axis=-1), 1, atol=1e-5)


def test_at_an_edge_each_side_keeps_its_own():
    camera = camera_of(Mount(1.5, pitch_rad=0.05))
    scene = with_wall(camera, flat_ground(camera), 8.0, half_m=1.2)
    wall = np.isfinite(scene) & (scene < 0.999 * np.nan_to_num(flat_ground(camera), nan=1e6))
    wall[:-3] &= wall[3:]  # its lowest row meets the ground: that is a corner, not an edge
    facing = normals_of(cloud_of(scene, camera)) @ camera.mount.vehicle_from_camera[:3, :3].T
    assert wall.sum() > 500
    assert (facing[wall][:, 0] < -0.99).mean() > 0.98


def test_what_is_unknown_has_no_normal():
    depth_m = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    depth_m[50, 60] = 3.0
    assert np.isnan(normals_of(cloud_of(depth_m, camera_of(MOUNT)))).all()


def test_a_compact_cloud_has_lost_its_neighbours():
    with pytest.raises(ConfigError, match="organised"):
        normals_of(compact(cloud_of(flat_ground(camera_of(MOUNT)), camera_of(MOUNT))))


@pytest.mark.parametrize("frame", ["vehicle", "camera"])
def test_open3d_reads_them_from_a_file(frame, tmp_path):
    o3d = pytest.importorskip("open3d")
    camera = camera_of(MOUNT)
    points = cloud_of(flat_ground(camera), camera)
    matrix = tuple(MOUNT.vehicle_from_camera.ravel().tolist())
    cloud = Cloud(Header("front", vehicle_from_camera=matrix), points)
    save_cloud(tmp_path / "street.ply", cloud, frame=frame, normals=True)
    read = o3d.io.read_point_cloud(str(tmp_path / "street.ply"))
    assert len(read.points) == len(cloud.known)
    assert np.allclose(np.asarray(read.points), cloud.xyz_m(frame), atol=1e-4)
    up = MOUNT.vehicle_from_camera[2, :3] if frame == "camera" else np.array([0, 0, 1])
    assert np.median(np.asarray(read.normals) @ up) > 0.999
    assert np.allclose(np.asarray(read.colors), 90 / 255)


def test_other_formats_have_no_place_for_them(tmp_path):
    cloud = Cloud(Header("front"), np.zeros((2, 2), POINT))
    with pytest.raises(ConfigError, match=r"\.ply only"):
        save_cloud(tmp_path / "street.pcd", cloud, frame="camera", normals=True)
