"""Boards are found, cameras recovered, and pictures that are of no use named with the reason."""

import math
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from board_pictures import Studio, poses, studio_of
from cloudypoints.calibrate import (
    Charuco,
    Chessboard,
    Coverage,
    Missed,
    Sighting,
    gather,
    look,
    solve,
    write_report,
)
from cloudypoints.calibration import load_camera
from cloudypoints.cli import main
from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera, Intrinsics
from cloudypoints.lens import Distortion, distorted

REAL = Path(__file__).parents[2] / "shared" / "data" / "calibration" / "chessboard_9x6_1280x720"
BOARD = Chessboard(9, 6)
PINHOLE = Camera(
    Intrinsics(640, 480, 520.0, 517.0, 331.0, 236.0),
    Distortion("plumb_bob", (-0.28, 0.08, 0.001, -0.0005, 0.0)),
)
RATIONAL = replace(
    PINHOLE, distortion=Distortion("rational", (0.2, 0.05, 0.0005, -0.0004, 0.0, 0.55, 0.1, 0.0))
)
FISHEYE = Camera(
    Intrinsics(640, 480, 250.0, 249.0, 322.0, 238.0),
    Distortion("fisheye", (-0.02, 0.004, -0.001, 0.0002)),
)


def sightings(studio: Studio, count: int, reach: float, away: tuple[float, float]):
    """What is found in rendered pictures, and what not."""
    found = [
        look(f"{index}.png", studio.picture(pose), studio.board)
        for index, pose in enumerate(poses(studio, count, reach, away))
    ]
    seen = [one for one in found if isinstance(one, Sighting)]
    return seen, [one for one in found if isinstance(one, Missed)]


@pytest.fixture(scope="module")
def seen_by_pinhole():
    return sightings(studio_of(PINHOLE, BOARD), 12, 0.24, (10.0, 14.0))


@pytest.mark.parametrize(
    ("camera", "board", "reach", "away"),
    [
        (PINHOLE, BOARD, 0.24, (10.0, 14.0)),
        (RATIONAL, BOARD, 0.24, (10.0, 14.0)),
        (FISHEYE, Charuco(9, 7), 0.9, (3.5, 5.5)),
    ],
    ids=["plumb_bob", "rational", "fisheye"],
)
def test_a_rendered_lens_is_recovered(camera, board, reach, away):
    seen, _ = sightings(studio_of(camera, board), 16, reach, away)
    assert len(seen) >= 12
    calibration = solve(seen, board, camera.distortion.model)
    assert calibration.rms_px < 0.2
    found, true = calibration.camera.intrinsics, camera.intrinsics
    for name in ("fx_px", "fy_px", "cx_px", "cy_px"):
        off_px = abs(getattr(found, name) - getattr(true, name))
        assert off_px < max(5 * calibration.sigma[name], 0.5), name
    corners = np.concatenate([one.corners_px for one in seen])
    rays = ((corners - (true.cx_px, true.cy_px)) / (true.fx_px, true.fy_px)).T * 0.9
    bent = distorted(rays, camera.distortion), distorted(rays, calibration.camera.distortion)
    # The centre may be off where the lens makes up for it, so whole pixels are compared.
    centres = [np.array([[k.cx_px], [k.cy_px]]) for k in (true, found)]
    focals = [np.array([[k.fx_px], [k.fy_px]]) for k in (true, found)]
    pixels = [c + f * b for c, f, b in zip(centres, focals, bent, strict=True)]
    assert np.abs(pixels[0] - pixels[1]).max() < 1.0


def test_sigma_is_the_scatter_of_repeated_calibrations():
    studio = studio_of(PINHOLE, BOARD)
    held, rng = poses(studio, 14, 0.3, (9.0, 14.0)), np.random.default_rng(3)
    exact = [
        cv2.projectPoints(
            BOARD.points, pose[:3], pose[3:], PINHOLE.intrinsics.matrix,
            np.array(PINHOLE.distortion.coefficients),
        )[0].reshape(-1, 2)
        for pose in held
    ]  # fmt: skip
    results = []
    for _ in range(8):
        seen = [
            made_up(f"{index}", corners + rng.normal(0, 0.3, corners.shape))
            for index, corners in enumerate(exact)
        ]
        results.append(solve(seen, BOARD, "plumb_bob"))
    scatter = np.std([one.camera.intrinsics.fx_px for one in results])
    stated = np.mean([one.sigma["fx_px"] for one in results])
    assert 0.5 < scatter / stated < 2
    assert np.mean([one.rms_px for one in results]) == pytest.approx(0.3 * math.sqrt(2), rel=0.1)


def made_up(name: str, corners_px: np.ndarray, size_px=(640, 480)) -> Sighting:
    thumbnail = np.zeros((24, 32, 3), np.uint8)
    ids = np.arange(len(corners_px))
    return Sighting(name, size_px, ids, corners_px.astype(np.float32), thumbnail)


def test_a_picture_that_does_not_fit_is_left_out_and_named(seen_by_pinhole):
    seen, _ = seen_by_pinhole
    bad = seen[3]
    rng = np.random.default_rng(0)
    shaken = bad.corners_px + rng.normal(0, 6, bad.corners_px.shape).astype(np.float32)
    others = [one for one in seen if one is not bad]
    calibration = solve([*others, replace_corners(bad, shaken)], BOARD, "plumb_bob")
    assert [one.name for one in calibration.left_out] == [bad.name]
    assert re.match(r"does not fit: \d\.\d\d px off", calibration.left_out[0].reason)
    assert calibration.rms_px < 0.1


def replace_corners(sighting: Sighting, corners_px: np.ndarray) -> Sighting:
    return Sighting(sighting.name, sighting.size_px, sighting.ids, corners_px, sighting.thumbnail)


def test_pictures_of_another_size_are_left_out_and_named(seen_by_pinhole):
    seen, _ = seen_by_pinhole
    other = Sighting("odd.png", (641, 481), seen[0].ids, seen[0].corners_px, seen[0].thumbnail)
    calibration = solve([*seen, other], BOARD, "plumb_bob")
    assert [(m.name, m.reason) for m in calibration.left_out] == [
        ("odd.png", "641×481 px, most others 640×480")
    ]


@pytest.mark.parametrize("model", ["plumb_bob", "fisheye"])
def test_too_few_pictures_are_an_error_that_says_what_was_missed(seen_by_pinhole, model):
    seen, _ = seen_by_pinhole
    missed = [Missed("a.png", "no chessboard seen"), Missed("b.png", "no chessboard seen")]
    with pytest.raises(
        CalibrationError, match=r"4 pictures .* 5 are needed.*\(2 × no chessboard seen\)"
    ):
        solve(seen[:4], BOARD, model, missed)


def test_boards_that_only_face_the_camera_give_doubts_and_not_a_smooth_answer():
    studio = studio_of(PINHOLE, BOARD)
    flat = [studio.held((0.02 * i, 0.01 * i), 12.0 + 0.1 * i, (0.5, 0.5, 0.1)) for i in range(6)]
    seen = [look(f"{i}", studio.picture(pose), BOARD) for i, pose in enumerate(flat)]
    try:
        doubts = " ".join(solve(seen, BOARD, "plumb_bob").doubts)
    except CalibrationError as error:
        doubts = str(error)
    assert "tilt" in doubts


# --- Finding boards -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("board", "says"),
    [
        (Chessboard(8, 6), "9×6 inner corners seen of 8×6: .*another board"),
        (Chessboard(9, 7), "9×6 inner corners seen of 9×7"),
        (Charuco(8, 6), "no markers of 4X4_50 seen"),
    ],
)
def test_a_board_of_the_wrong_size_is_told(board, says):
    studio = studio_of(PINHOLE, BOARD)
    missed = look("x.png", studio.picture(studio.held((0, 0), 12.0, (20, 0, 0))), board)
    assert isinstance(missed, Missed)
    assert re.search(says, missed.reason)


def test_a_chessboard_that_is_cut_off_is_told_with_what_is_left():
    studio = studio_of(PINHOLE, BOARD)
    missed = look("x.png", studio.picture(studio.held((-0.5, 0), 10.0, (0, 0, 0))), BOARD)
    assert isinstance(missed, Missed)
    assert re.search(r"\d×\d inner corners seen of 9×6: cut off", missed.reason)


def test_a_charuco_board_that_is_cut_off_is_of_use():
    studio = studio_of(PINHOLE, Charuco(9, 7))
    seen = look("x.png", studio.picture(studio.held((-0.5, 0), 8.0, (10, 20, 0))), studio.board)
    assert isinstance(seen, Sighting)
    assert 8 <= len(seen.ids) < len(studio.board.points)


def test_a_picture_without_a_board_is_told():
    grey = np.full((240, 320, 3), 128, np.uint8)
    assert look("x", grey, BOARD).reason == "no chessboard seen"


def test_corners_are_where_they_were_rendered():
    studio = studio_of(replace(PINHOLE, distortion=Distortion()), BOARD)
    pose = studio.held((0.05, -0.05), 12.0, (25, 20, 5))
    seen = look("x", studio.picture(pose), BOARD)
    expected, _ = cv2.projectPoints(
        BOARD.points, pose[:3], pose[3:], PINHOLE.intrinsics.matrix, None
    )
    # The board may be read from either end.
    off_px = [np.abs(seen.corners_px - e).max() for e in (expected[:, 0], expected[::-1, 0])]
    assert min(off_px) < 0.15


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Chessboard(2, 6), "3 to 50 each way"),
        (lambda: Charuco(8, 6, 1.0), "below 1"),
        (lambda: Charuco(8, 6, 0.7, "9X9_50"), "known are 4X4_100"),
        (lambda: Charuco(20, 20), "need 200 markers; 4X4_50 has 50"),
    ],
)
def test_a_board_that_cannot_be_is_refused(make, says):
    with pytest.raises(CalibrationError, match=says):
        make()


# --- Coverage -------------------------------------------------------------------------------------


def rectangle(left: float, top: float, width: float, height: float) -> np.ndarray:
    u, v = np.meshgrid(np.linspace(left, left + width, 4), np.linspace(top, top + height, 3))
    return np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float32)


def test_the_same_view_twice_teaches_nothing():
    coverage = Coverage((640, 480))
    assert coverage.is_new(rectangle(100, 100, 200, 150))
    coverage.add(rectangle(100, 100, 200, 150))
    assert not coverage.is_new(rectangle(104, 102, 200, 150))
    assert coverage.is_new(rectangle(350, 100, 200, 150))


def test_advice_names_what_is_missing():
    coverage = Coverage((640, 480))
    assert coverage.advice == "hold the board before the camera"
    for left in (0, 220, 440):
        for top in (0, 160, 320):
            coverage.add(rectangle(left, top, 200, 150))
    assert coverage.progress["x"] == pytest.approx((440 / 640) / 0.7, abs=0.02)
    assert coverage.progress["slant"] < 0.05
    assert "turn it aside" in coverage.advice
    assert not coverage.complete


def test_a_slanted_board_counts_as_slanted():
    coverage = Coverage((640, 480))
    slanted = rectangle(100, 100, 200, 150)
    slanted[:, 1] += 0.5 * (slanted[:, 0] - 100)  # 26.6°, of the 22.5° that are wanted
    coverage.add(slanted)
    assert coverage.progress["slant"] == 1


# --- The real pictures ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real():
    if not REAL.is_dir():
        pytest.skip("../shared/data is not here")
    return gather(str(REAL), BOARD)


def plain_pipeline(names: set[str]) -> float:
    """OpenCV's own tutorial on these pictures: reprojection error, pixels."""
    board = BOARD.points.astype(np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.001)
    corners_px = []
    for name in sorted(names):
        grey = cv2.imread(str(REAL / name), cv2.IMREAD_GRAYSCALE)
        found, corners = cv2.findChessboardCorners(grey, (9, 6), None)
        if found:
            corners_px.append(cv2.cornerSubPix(grey, corners, (11, 11), (-1, -1), criteria))
    rms_px = cv2.calibrateCamera([board] * len(corners_px), corners_px, (1280, 720), None, None)[0]
    return float(rms_px)


@pytest.mark.slow
def test_real_pictures_err_no_more_than_by_opencvs_plain_pipeline(real):
    seen, missed = real
    calibration = solve(seen, BOARD, "plumb_bob", missed)
    everything = {path.name for path in REAL.glob("*.jpg")}
    assert calibration.rms_px <= plain_pipeline(everything)
    used = {view.sighting.name for view in calibration.views}
    assert len(used) >= 16
    left_out = {one.name: one.reason for one in calibration.left_out}
    assert used | set(left_out) == everything
    assert left_out["calibration1.jpg"].startswith("9×5 inner corners seen of 9×6: cut off")
    assert left_out["calibration5.jpg"].startswith("6×5 inner corners seen of 9×6: cut off")
    for name in ("calibration7.jpg", "calibration15.jpg"):
        assert left_out[name] == "1281×721 px, most others 1280×720"


@pytest.mark.slow
def test_on_the_very_same_real_pictures_it_errs_less(real):
    both = [
        one for one in real[0] if one.name != "calibration4.jpg"
    ]  # which OpenCV's finder misses
    names = {one.name for one in both if one.size_px == (1280, 720)}
    assert len(names) == 15
    assert solve(both, BOARD, "plumb_bob").rms_px <= plain_pipeline(names)


# --- The command ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Pictures of a board, one of nothing, one broken."""
    folder = tmp_path_factory.mktemp("pictures")
    studio = studio_of(PINHOLE, BOARD)
    for index, pose in enumerate(poses(studio, 7, 0.25, (10.0, 14.0))):
        cv2.imwrite(str(folder / f"{index}.png"), studio.picture(pose))
    cv2.imwrite(str(folder / "wall.png"), np.full((480, 640, 3), 128, np.uint8))
    (folder / "<b>broken.png").write_bytes(b"no picture")
    return folder


def test_the_command_writes_a_camera_that_the_node_reads_and_a_page_for_people(
    folder, tmp_path, capsys
):
    out = tmp_path / "front"
    assert main(["calibrate", str(folder), "--chessboard", "9x6", "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert re.search(r"left out +wall.png: no chessboard seen", said)
    assert re.search(r"left out +<b>broken.png: cannot be decoded", said)
    assert re.search(r"reprojection error 0\.\d+ px over 7 pictures", said)
    assert "doubt: 7 pictures: take 12 or more" in said
    ours, ros = load_camera(out / "camera.toml"), load_camera(out / "camera_info.yaml")
    assert ours == ros
    assert ours.intrinsics.fx_px == pytest.approx(520, rel=0.02)
    assert cv2.imread(str(out / "coverage.png")).std() > 10
    page = (out / "report.html").read_text()
    assert "&lt;b&gt;broken.png" in page
    assert "<b>broken" not in page
    assert len(re.findall(r"src='data:image/png;base64,", page)) == 3 + 1 + 7


def test_a_video_gives_its_telling_frames(tmp_path):
    studio = studio_of(PINHOLE, BOARD)
    path = tmp_path / "board.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (640, 480))
    held = poses(studio, 3, 0.25, (10.0, 14.0))
    for pose in [pose for pose in held for _ in range(4)]:
        writer.write(studio.picture(pose)[..., ::-1])
    writer.release()
    seen, _ = gather(str(path), BOARD)
    assert len(seen) == 3
    assert all(re.fullmatch(r"frame \d+", one.name) for one in seen)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--chessboard", "9x6"], 2, "no SOURCE"),
        (["--chessboard", "2x6", "pictures"], 1, "3 to 50 each way"),
        (["--charuco", "8x6", "--dictionary", "x", "pictures"], 1, "dictionary 'X'"),
        (["--chessboard", "9x6", "nowhere"], 1, "nowhere"),
    ],
)
def test_what_cannot_be_is_one_line(arguments, code, says, capsys):
    assert main(["calibrate", *arguments]) == code
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("cloudypoints: ")
    assert says in line


def test_a_drawn_board_is_found_again(tmp_path, capsys):
    path = tmp_path / "board.png"
    assert main(["calibrate", "--charuco", "8x6", "--draw", str(path)]) == 0
    assert "print it" in capsys.readouterr().out
    seen = look("x", cv2.imread(str(path)), Charuco(8, 6))
    assert len(seen.ids) == 7 * 5


def test_a_report_that_cannot_be_written_is_told(seen_by_pinhole, tmp_path):
    (tmp_path / "file").write_text("")
    calibration = solve(seen_by_pinhole[0], BOARD, "plumb_bob")
    with pytest.raises(CalibrationError, match="cannot be written"):
        write_report(tmp_path / "file", calibration, BOARD)
