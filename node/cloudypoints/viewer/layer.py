"""One camera's points in an Open3D scene, updated in place.

Open3D hands the renderer's thread the address of what it is given, without a copy and without
keeping it alive (its crashes at high rates come from that), and crashes when a cloud gets smaller
in place. So a cloud is written into arrays that live as long as the layer, taken in turns; it is
filled up with its first point to one of a few sizes; and another size makes the geometry anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from cloudypoints.viewer.points import Floats, Matrix

_TURNS = 4  # clouds that the renderer's thread may be behind
_SMALLEST = 1024
_ROOMY = 4  # a geometry this many times too large is made anew


@dataclass(frozen=True, slots=True)
class _Slate:
    """Arrays of one size, and the tensor cloud that lies over them."""

    places_m: Floats  # (size, 3)
    colours: Floats  # (size, 3)
    cloud: Any  # open3d.t.geometry.PointCloud

    @classmethod
    def of(cls, open3d: ModuleType, size: int) -> _Slate:
        """Empty ones; the tensors share the arrays' memory."""
        places_m, colours = np.zeros((2, size, 3), np.float32)
        cloud = open3d.t.geometry.PointCloud(open3d.core.Tensor.from_numpy(places_m))
        cloud.point.colors = open3d.core.Tensor.from_numpy(colours)
        return cls(places_m, colours, cloud)

    def fill_up(self, count: int) -> None:
        """Repeat the first point behind so many; at least one."""
        for own in (self.places_m, self.colours):
            for column in range(3):  # numpy fills columns faster than rows of three
                own[count:, column] = own[0, column]


class Layer:
    """A named cloud of a scene."""

    def __init__(self, open3d: ModuleType, scene: Any, name: str) -> None:
        """Nothing is drawn before the first `show`."""
        self._open3d = open3d
        self._scene = scene  # rendering.Open3DScene
        self._name = name
        self._slates: dict[int, list[_Slate]] = {}  # by size; never given back
        self._size = 0  # of the geometry in the scene; 0 for none
        self._turn = 0
        self._written: tuple[_Slate, int]  # since `blank`: the slate, and how much of it

    def blank(self, count: int) -> tuple[Floats, Floats]:
        """Places in metres and colours, (count, 3) each, to be written for `show`; at least one.

        Those that the renderer has had longest to read.
        """
        size = size_for(count, self._size)
        if size not in self._slates:
            self._slates[size] = [_Slate.of(self._open3d, size) for _ in range(_TURNS)]
        self._turn = (self._turn + 1) % _TURNS
        self._written = self._slates[size][self._turn], count
        slate, _ = self._written
        return slate.places_m[:count], slate.colours[:count]

    def show(self, vehicle_from_camera: Matrix, material: Any) -> None:
        """Draw what was written since `blank`, from the next frame on."""
        slate, count = self._written
        slate.fill_up(count)
        size = len(slate.places_m)
        if size == self._size:
            self._update(slate.cloud, material)
        else:
            self._add(slate.cloud, material)
        self._size = size
        self._scene.set_geometry_transform(self._name, vehicle_from_camera)
        self._scene.show_geometry(self._name, True)

    def hide(self) -> None:
        """Draw nothing until the next `show`."""
        if self._size:
            self._scene.show_geometry(self._name, False)

    def _update(self, cloud: Any, material: Any) -> None:
        """Draw this cloud, of the size that the geometry has."""
        scene_class = self._open3d.visualization.rendering.Scene
        flags = scene_class.UPDATE_POINTS_FLAG | scene_class.UPDATE_COLORS_FLAG
        self._scene.scene.update_geometry(self._name, cloud, flags)
        self._scene.modify_geometry_material(self._name, material)

    def _add(self, cloud: Any, material: Any) -> None:
        """Make the geometry anew, in the size of this cloud."""
        if self._size:
            self._scene.remove_geometry(self._name)
        self._scene.add_geometry(self._name, cloud, material)
        # Its bounds are those of the first cloud; later ones may lie elsewhere.
        self._scene.scene.set_geometry_culling(self._name, False)


def size_for(count: int, size: int) -> int:
    """`size` where `count` points fit into it well, or else the next of 2ⁿ and 1.5 × 2ⁿ."""
    if count <= size <= max(_ROOMY * count, _SMALLEST):
        return size
    power = max(_SMALLEST, 1 << (count - 1).bit_length())
    return power * 3 // 4 if count <= power * 3 // 4 and power > _SMALLEST else power
