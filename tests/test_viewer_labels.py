"""Words in the scene: where they lie, which of them stay, which move."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cloudypoints.picture.canvas import Box
from cloudypoints.viewer.labels import Label, Rank, arranged, seen_at
from cloudypoints.viewer.marks import obstacle_labels
from cloudypoints.viewer.scenery import ring_labels
from streets import obstacles

FRAME = Box(0, 0, 400, 200)


def clip_of(eye_z_m=10.0):
    """Straight down from above the origin, 90 degrees wide and high."""
    view = np.diag([1.0, 1.0, 1.0, 1.0])
    view[2, 3] = -eye_z_m
    return np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, -0.1], [0, 0, -1, 0]]) @ view


def test_a_place_is_seen_where_the_eye_projects_it():
    label = ring_labels()[0]
    at = replace(label, place_m=(5.0, -5.0, 0.0))
    #  10 m below the eye, 5 m aside: three quarters of the way to the right and to the bottom
    assert seen_at(at, clip_of(), (400, 200)) == (300, 150)
    assert seen_at(replace(at, place_m=(0.0, 0.0, 20.0)), clip_of(), (400, 200)) is None
    assert seen_at(replace(at, place_m=(math.nan, 0.0, 0.0)), clip_of(), (400, 200)) is None


def label_at(x_m, rank=Rank.RING, *, above=False):
    return Label("8.0 m", (x_m, 0.0, 0.0), (255, 255, 255), rank, above)


def test_of_labels_of_one_rank_that_would_lie_over_each_other_the_later_stays():
    labels = [label_at(0.0), label_at(0.5), label_at(8.0)]
    boxes = arranged(labels, [(60, 20)] * 3, clip_of(), FRAME, [])
    #  10 m below the eye, half a metre aside: 10 px from the middle of 400 px
    assert boxes == [None, Box(180, 90, 60, 20), Box(330, 90, 60, 20)]


def test_no_label_lies_where_another_thing_is_or_beyond_the_edge():
    labels = [label_at(0.0), label_at(9.9), label_at(-9.9)]
    taken = [Box(150, 80, 60, 60)]
    boxes = arranged(labels, [(60, 20)] * 3, clip_of(), Box(0, 40, 400, 200), taken)
    assert boxes == [None, Box(340, 130, 60, 20), Box(0, 130, 60, 20)]


def test_a_label_above_its_place_leaves_it_visible():
    (box,) = arranged([label_at(0.0, above=True)], [(60, 20)], clip_of(), FRAME, [])
    assert (box.x, box.y + box.height) == (170, 100)


@pytest.mark.parametrize("first", list(Rank)[:-1])
def test_of_labels_that_would_lie_over_each_other_the_higher_stays(first):
    labels = [label_at(0.0, Rank(first + 1)), label_at(0.0, first)]
    boxes = arranged(labels, [(60, 20)] * 2, clip_of(), FRAME, [])
    assert boxes == [Box(170, 90, 60, 20), None]


def test_the_nearest_comes_before_the_corridor_and_that_before_zones():
    said = obstacles(
        corridor_ttc_s=2.5,
        zone_event={"gate": "stay"},
        zone_distance_m={"gate": 4.5},
        zone_since_s={"gate": 1.0},
        zone_entries={"gate": 1},
        zone_outline_m={"gate": (3.0, -1.0, 6.0, -1.0, 6.0, 2.0)},
    )
    ranks = [label.rank for label in obstacle_labels(said, np.zeros(3))]
    assert ranks == [Rank.NEAREST, Rank.CORRIDOR, Rank.ZONE]


def test_the_nearest_moves_beside_a_panel_rather_than_go():
    panel = Box(200, 0, 200, 120)
    (box,) = arranged([label_at(0.0, Rank.NEAREST)], [(60, 20)], clip_of(), FRAME, [panel])
    #  from x = 170, y = 90: 30 px to the left or 30 px down; the upper of the two
    assert box == Box(140, 90, 60, 20)


@pytest.mark.parametrize("seed", range(20))
def test_what_moves_lies_in_the_frame_and_over_nothing(seed):
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, (360, 170), (6, 2)).tolist()
    taken = [Box(x, y, *rng.integers(20, 90, 2).tolist()) for x, y in corners]
    (box,) = arranged([label_at(0.0, Rank.NEAREST)], [(60, 20)], clip_of(), FRAME, taken)
    pixels = np.zeros((200, 400), bool)
    for other in taken:
        other.of(pixels)[:] = True
    assert box.of(pixels).shape == (20, 60)
    assert not box.of(pixels).any()


def test_where_all_is_taken_nothing_is_written():
    everything = Box(0, 0, 400, 200)
    boxes = arranged([label_at(0.0, Rank.NEAREST)], [(60, 20)], clip_of(), FRAME, [everything])
    assert boxes == [None]
