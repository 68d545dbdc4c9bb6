"""Meshes: shapes are as large as told, normals point outwards, moving keeps them so."""

from __future__ import annotations

import math

import numpy as np
import open3d as o3d
import pytest

from cloudytools.scenes import people, plants, vehicles
from cloudytools.scenes.mesh import Mesh, box, ellipsoid, heading_matrix, slab, tube
from cloudytools.scenes.world import Place, View, placed, tensor

SHAPES = {
    "box": box((1, 2, 3)),
    "tube": tube((0, 0, 0), (0, 0, 2), (0.5, 0.3)),
    "ellipsoid": ellipsoid((1, 2, 0.5)),
    "walker": people.walker(3, 2),
    "sedan": vehicles.shape("sedan", 2),
    "tree": plants.tree("round", 0, 1),
}


def area_m2(mesh: Mesh) -> float:
    """Of all triangles."""
    a, b, c = mesh.corners_m.transpose(1, 0, 2)
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def test_a_box_has_the_area_of_its_faces() -> None:
    # 2 · (1·3 + 2·3) m² of sides and 1·2 m² of lid; the slab has a bottom as well.
    assert area_m2(box((1, 2, 3))) == pytest.approx(20)
    assert area_m2(slab((1, 2, 3))) == pytest.approx(22)


def test_an_ellipsoid_fine_enough_has_the_area_of_a_sphere() -> None:
    assert area_m2(ellipsoid((1, 1, 1), detail=(40, 60))) == pytest.approx(4 * math.pi, rel=0.01)


@pytest.mark.parametrize("shape", SHAPES)
def test_normals_have_length_one(shape: str) -> None:
    length = np.linalg.norm(SHAPES[shape].normals, axis=-1)
    np.testing.assert_allclose(length, 1, atol=1e-5)


@pytest.mark.parametrize("shape", ["box", "ellipsoid"])
def test_normals_of_closed_shapes_point_away_from_the_middle(shape: str) -> None:
    mesh = SHAPES[shape]
    middle = mesh.corners_m.reshape(-1, 3).mean(axis=0)
    outward = ((mesh.corners_m - middle) * mesh.normals).sum(axis=-1)
    assert (outward > 0).all()


def test_texture_coordinates_are_metres() -> None:
    # The widest face of a 1 × 2 × 3 m box spans 2 m by 3 m.
    assert box((1, 2, 3)).uv_m.max(axis=(0, 1)).tolist() == [2, 3]


def test_placing_turns_then_moves() -> None:
    mesh = placed(box((2, 1, 1)), Place(10, 5, 1, math.pi / 2))
    low, high = mesh.corners_m.min(axis=(0, 1)), mesh.corners_m.max(axis=(0, 1))
    np.testing.assert_allclose(low, (9.5, 4, 1), atol=1e-5)
    np.testing.assert_allclose(high, (10.5, 6, 2), atol=1e-5)


def test_a_heading_turns_forward_to_the_left() -> None:
    np.testing.assert_allclose(heading_matrix(math.pi / 2) @ (1, 0, 0), (0, 1, 0), atol=1e-12)


@pytest.mark.parametrize("kind", vehicles.LENGTHS_M)
@pytest.mark.parametrize("detail", [0, 1, 2])
def test_vehicles_are_as_large_as_their_kind_says(kind: str, detail: int) -> None:
    mesh = vehicles.shape(kind, detail)
    extent = np.ptp(mesh.corners_m.reshape(-1, 3), axis=0)
    assert extent[0] == pytest.approx(vehicles.LENGTHS_M[kind], abs=0.2)
    assert extent[1] == pytest.approx(vehicles.WIDTHS_M[kind], abs=0.4)
    assert abs(mesh.corners_m[..., 2].min()) < 0.16


@pytest.mark.parametrize("kind", vehicles.BODIES)
@pytest.mark.parametrize("detail", [0, 1, 2])
@pytest.mark.parametrize("end", [-1, 1])
def test_nobody_sees_through_a_car_from_either_end(kind: str, detail: int, end: int) -> None:
    length_m, width_m, height_m = vehicles.BODIES[kind].size_m
    y, z = np.meshgrid(np.linspace(-0.4, 0.4, 41) * width_m, np.linspace(0.25, 0.6, 61) * height_m)
    start = np.stack([np.full(y.size, end * 20.0), y.ravel(), z.ravel()], axis=1)
    rays = np.concatenate([start, np.broadcast_to((-end, 0, 0), start.shape)], axis=1)
    corners = np.ascontiguousarray(vehicles.shape(kind, detail).corners_m.reshape(-1, 3))
    casting = o3d.t.geometry.RaycastingScene()
    triangles = np.arange(len(corners), dtype=np.uint32).reshape(-1, 3)
    casting.add_triangles(tensor(corners), tensor(triangles))
    reach_m = casting.cast_rays(tensor(rays.astype(np.float32)))["t_hit"].numpy()
    assert (reach_m < 20 - length_m / 2 + 0.3 * length_m).all()


@pytest.mark.parametrize("pose", range(people.POSES))
def test_people_stand_on_the_ground_and_are_as_tall_as_people(pose: int) -> None:
    height = people.walker(pose, 2).corners_m[..., 2]
    assert abs(height.min()) < 0.05
    assert height.max() == pytest.approx(1.75, abs=0.06)


def test_a_view_keeps_what_it_sees_and_what_may_cast_shadows() -> None:
    view = View(heading_rad=0.0, half_angle_rad=0.5, near_m=10.0, far_m=100.0)
    assert view.sees(50, 0, 1)
    assert view.sees(-5, 0, 1)
    assert not view.sees(-50, 0, 1)
    assert not view.sees(150, 0, 1)
    assert view.sees(50, 40, 20)


def test_what_only_casts_shadows_is_coarse() -> None:
    view = View(heading_rad=0.0, half_angle_rad=0.5)
    assert view.detail(5, 0, (10.0, 30.0)) == 2
    assert view.detail(20, 0, (10.0, 30.0)) == 1
    assert view.detail(-8, 0, (10.0, 30.0)) == 0
