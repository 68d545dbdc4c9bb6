"""Looking through datasets: what is in them, what is wrong with them, one file that shows it."""

import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from cloudypoints.messages import Category
from cloudytools import data
from cloudytools.data.__main__ import main
from cloudytools.data.report import Subject, page, panels
from cloudytools.data.sample import Sample
from cloudytools.data.survey import Survey
from test_data_files import add_scan, add_street, save


@pytest.fixture
def streets(tmp_path):
    """Four good streets, one without labels, one that is broken."""
    root = tmp_path / "city"
    ids = np.full((8, 16), 7, np.uint8)
    ids[:4], ids[0, 0] = 9, 0  # parking, which is flat and not scored; and one pixel of void
    for number in range(6):
        add_street(root, "train", "ulm", number, ids=ids)
    (root / "gtFine/train/ulm/ulm_000004_000019_gtFine_labelIds.png").unlink()
    (root / "leftImg8bit/train/ulm/ulm_000005_000019_leftImg8bit.png").write_bytes(b"broken")
    return root


def surveyed(dataset):
    survey = Survey()
    assert list(survey.look_through(dataset, range(len(dataset)), [0])) == list(
        range(1, len(dataset) + 1)
    )
    return survey


def test_broken_samples_are_listed_and_the_others_are_counted(streets):
    dataset = data.open("cityscapes", streets, "train")
    survey = surveyed(dataset)
    assert list(dataset.missing) == ["ulm/ulm_000004_000019"]
    assert list(survey.broken) == ["ulm/ulm_000005_000019"]
    assert "6 bytes that are no picture" in survey.broken["ulm/ulm_000005_000019"]
    assert survey.read == 4


def test_pixels_are_counted_by_category_and_as_the_official_server_scores_them(streets):
    survey = surveyed(data.open("cityscapes", streets, "train"))
    #  4 pictures of 128 pixels: 1 void, 63 parking, 64 road
    assert survey.labels[[Category.VOID, Category.FLAT]].tolist() == [4, 4 * 127]
    assert survey.scored[[Category.VOID, Category.FLAT]].tolist() == [0, 4 * 64]


def test_depth_is_counted_in_its_bin_and_its_range_is_kept():
    survey = Survey()
    depth_m = np.array([[1.0, 10.0], [10.0, np.nan]], np.float32)
    survey.add(Sample("one", np.zeros((2, 2, 3), np.uint8), depth_m))
    assert (survey.nearest_m, survey.farthest_m) == (1.0, 10.0)
    assert (survey.depth_known, survey.depth_unknown) == (3, 1)
    assert survey.depth.sum() == 3
    assert survey.depth_quantile_m(0.9) == pytest.approx(10, rel=0.25)  # a bin is 21 % wide


def test_depth_without_a_known_pixel_is_named(tmp_path):
    add_scan(tmp_path, "indoors", 0, np.ones((8, 16, 1), np.float32), np.zeros((8, 16)))
    survey = surveyed(data.open("diode", tmp_path, "val"))
    assert survey.without_depth == ["indoors/scene_00019/scan_00183/00019_00183_indoors_000_010"]


class _Page(HTMLParser):
    """What a page loads, and its tags."""

    def __init__(self, text):
        super().__init__()
        self.sources, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href")]


def test_the_report_is_one_file_with_its_pictures_in_it(streets, tmp_path, capsys):
    out = tmp_path / "reports" / "city.html"
    assert main(["inspect", "cityscapes", str(streets), "--out", str(out)]) == 0
    assert "5 samples, 1 incomplete, 1 broken of 5 looked at" in capsys.readouterr().out
    text = out.read_text()
    found = _Page(text)
    assert found.sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in found.sources)
    assert not {"script", "link"} & set(found.tags)
    picture = base64.b64decode(found.sources[0].partition(",")[2])
    assert cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR).shape == (8, 16, 3)
    for told in ("ulm/ulm_000004_000019", "no labels", "no picture", "473.6 m", "leaves out 50.00"):
        assert told in text


def test_names_cannot_put_markup_into_the_report():
    subject = Subject("diode", "a&b", "val", 1, {"<script>": "<b>x</b>"}, "0")
    text = page(subject, Survey())
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_a_report_of_nothing_readable_is_still_written_and_says_so_by_its_exit_code(
    streets, tmp_path
):
    for path in streets.glob("leftImg8bit/train/ulm/*"):
        path.write_bytes(b"")
    out = tmp_path / "r.html"
    assert main(["inspect", "cityscapes", str(streets), "--out", str(out)]) == 2
    assert "Broken: cannot be read (5)" in out.read_text()


def test_a_limit_looks_at_so_many_and_shows_so_many(streets, tmp_path):
    out = tmp_path / "r.html"
    arguments = ["--limit", "2", "--pictures", "1", "--out", str(out)]
    assert main(["inspect", "cityscapes", str(streets), *arguments]) == 0
    assert len(re.findall('<div class="name">', out.read_text())) == 1


def test_the_reference_is_written_on_request(streets, tmp_path):
    out, reference = tmp_path / "r.html", tmp_path / "statistics.json"
    main(["inspect", "cityscapes", str(streets), "--out", str(out), "--reference", str(reference)])
    assert '"brightness"' in reference.read_text()


def test_each_truth_has_its_panel():
    shape = (8, 16)
    sample = Sample(
        "one",
        np.zeros((*shape, 3), np.uint8),
        np.ones(shape, np.float32),
        np.ones(shape, np.float32),
        np.zeros(shape, np.uint8),
        np.zeros(shape, bool),
        np.zeros(shape, bool),
        np.zeros((*shape, 3), np.uint8),
    )
    found = panels(sample)
    assert len(found) == 7
    assert all(p.shape == (*shape, 3) and p.dtype == np.uint8 for p in found.values())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["inspect", "redweb", "nowhere"], "no such folder"),
        (["inspect", "redweb", ".", "--split", "test"], "it has train, val, all"),
        (["unpack", "nowhere.zip", "--out", "."], "no such archive"),
        (["pack", "nowhere", "out"], "no such folder"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(arguments, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_packing_and_inspecting_go_together(tmp_path):
    rgba = np.full((10, 6, 4), 255, np.uint8)
    save(tmp_path / "own/foregrounds/f.png", rgba)
    save(tmp_path / "own/backgrounds/b.png", np.zeros((32, 48, 3), np.uint8))
    out = tmp_path / "packed"
    arguments = ["--count", "6", "--per-part", "4"]
    assert main(["pack", str(tmp_path / "own"), str(out), *arguments]) == 0
    assert len(list((out / "all").glob("part_*.zip"))) == 2
    report = tmp_path / "r.html"
    command = ["inspect", "composed", str(out), "--split", "all", "--out", str(report)]
    assert main(command) == 0
    assert "mask covers" in report.read_text()
