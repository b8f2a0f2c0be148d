import base64
import csv
import dataclasses
import html.parser
import json
import re

import numpy as np
import pytest
from PIL import Image

from keras_t3d.data.shards.damage import split_records
from keras_t3d.evaluation import (
    EvaluationOptions,
    VideoScores,
    compute_metrics,
    score_videos,
    write_report,
)
from keras_t3d.evaluation import report as report_module
from keras_t3d.evaluation.previews import make_previews
from keras_t3d.evaluation.report import FILES
from tests.evaluation.written import FirstFrame, by_hand, write_shards

pytestmark = pytest.mark.pipeline

_VOID = {"meta", "img", "source", "br"}


class Page(html.parser.HTMLParser):
    """Parses a page, and fails if its tags do not match."""

    def __init__(self, text):
        super().__init__()
        self.open_tags, self.seen, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open_tags == []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open_tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag

    def handle_data(self, data):
        if self.open_tags and self.open_tags[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def attributes(self, tag):
        return [attributes for name, attributes in self.seen if name == tag]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A report with thumbnails; class u is never predicted."""
    folder = tmp_path_factory.mktemp("report")
    shards = write_shards(folder, [[("a", 0, 5), ("b<i>", 1, 2)], [("c", 1, 9)]])
    scores = score_videos(FirstFrame(), shards, "test", EvaluationOptions("t3d"))
    protocol = {"model": "best.keras", "split": "test", "views": None}
    write_report(scores, folder / "out", protocol, split_records(shards, "test"))
    return folder / "out"


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_metrics_are_written(tmp_path):
    metrics = write_report(by_hand(), tmp_path / "out", {"model": "m", "views": 3})
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == metrics
    assert metrics == {"protocol": {"model": "m", "views": 3}, **compute_metrics(by_hand())}
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)


def test_tables(tmp_path):
    write_report(by_hand(), tmp_path / "out", {})
    rows = read_csv(tmp_path / "out" / "predictions.csv")
    assert [row["predicted"] for row in rows] == ["u", "w", "z", "u"]
    assert (rows[0]["video"], rows[0]["label"], rows[0]["probability"]) == ("a", "u", "0.500000")
    assert rows[1]["z"] == "0.050000"
    classes = read_csv(tmp_path / "out" / "per_class.csv")
    assert [row["class"] for row in classes] == list("uvwxyz")
    assert classes[0]["f1"] == "0.500000"
    assert (classes[5]["videos"], classes[5]["accuracy"], classes[5]["confused_with"]) == (
        "0",
        "",
        "",
    )
    matrix = read_csv(tmp_path / "out" / "confusion.csv")
    assert list(matrix[0].values()) == ["u", "1", "0", "0", "0", "0", "1"]
    assert (tmp_path / "out" / "confusion.png").read_bytes().startswith(b"\x89PNG")


class TestPage:
    def test_shows_the_metrics(self, written):
        page = Page((written / "index.html").read_text(encoding="utf-8"))
        metrics = json.loads((written / "metrics.json").read_text())
        assert "3 videos of the split “test”, 2 classes" in page.text
        low, high = metrics["intervals"]["top1"]
        assert f"Top-1 66.7 % 95 %: {100 * low:.1f} to {100 * high:.1f} %" in page.text
        assert "Macro F1 40.0 %" in page.text  # of u: 0; of v: precision 2/3, recall 1
        assert f"Calibration error {100 * metrics['calibration']['ece']:.1f} %" in page.text
        assert "Top-1 of single clips 66.7 % 9 clips" in page.text
        assert "model best.keras" in page.text
        assert "1000 bootstrap resamples" in page.text
        assert "None" not in page.text

    def test_shows_confused_and_worst_videos(self, written):
        page = Page((written / "index.html").read_text(encoding="utf-8"))
        assert "u → v 1 video" in page.text
        # a gives u the mean of 0, 2 and 3 hundredths.
        assert "true: u, 1.7 % predicted: v, 98.3 %" in page.text
        alts = [attributes["alt"] for attributes in page.attributes("img")]
        assert alts.count("Middle frame of a") == 2
        assert alts.count("Middle frame of b<i>") + alts.count("Middle frame of c") == 3

    def test_is_self_contained(self, written):
        text = (written / "index.html").read_text(encoding="utf-8")
        page = Page(text)
        tags = {tag for tag, _ in page.seen}
        assert not tags & {"script", "link", "iframe", "object", "base", "form"}
        assert not re.search(r"url\(|@import|https?:", text)
        sources = [
            value
            for _, attributes in page.seen
            for name, value in attributes.items()
            if name in ("src", "srcset", "href")
        ]
        for source in sources:
            assert source.startswith(("data:image/", "#"))
            if source.startswith("data:"):
                kind, content = source.removeprefix("data:image/").split(";base64,")
                start = {"png": b"\x89PNG", "jpeg": b"\xff\xd8"}[kind]
                assert base64.b64decode(content, validate=True).startswith(start)
        targets = {attributes["id"] for _, attributes in page.seen if "id" in attributes}
        assert targets == {link["href"][1:] for link in page.attributes("a")}

    def test_shows_the_curves_of_two_classes_only(self, written, tmp_path):
        page = Page((written / "index.html").read_text(encoding="utf-8"))
        # u is the rarer class: a, which is of it, has more of it than b and less than c.
        assert "Area under the ROC curve: 0.500, 0.5 at chance" in page.text
        assert "average precision: 0.500, 0.333 at chance" in page.text
        write_report(by_hand(), tmp_path, {})
        assert "ROC" not in (tmp_path / "index.html").read_text(encoding="utf-8")

    def test_plays_previews(self, tmp_path):
        shards = write_shards(tmp_path, [[("a", 0, 5), ("b", 1, 2)]])
        scores = score_videos(FirstFrame(), shards, "test", EvaluationOptions("t3d"))
        records = split_records(shards, "test")
        write_report(scores, tmp_path / "out", {}, records, previews=True)
        page = Page((tmp_path / "out" / "index.html").read_text(encoding="utf-8"))
        videos = page.attributes("video")
        assert {video["aria-label"] for video in videos} == {"Middle of a", "Middle of b"}
        previews = make_previews(records, [0, 1])
        for video in videos:
            content = base64.b64decode(video["src"].removeprefix("data:video/mp4;base64,"))
            assert content == previews["ab".index(video["aria-label"][-1])]
            assert video["poster"].startswith("data:image/jpeg")
            assert "autoplay" not in video

    def test_shows_what_is_reached_without_a_model(self, tmp_path):
        write_report(by_hand(), tmp_path, {})
        page = Page((tmp_path / "index.html").read_text(encoding="utf-8"))
        assert (
            "Most frequent class 50.0 % top-1 of always predicting it; chance: 16.7 %" in page.text
        )

    def test_a_predicted_class_without_videos(self, tmp_path):
        write_report(by_hand(), tmp_path, {})
        text = (tmp_path / "index.html").read_text(encoding="utf-8")
        page = Page(text)
        assert "u → z 1 video" in page.text
        # Each side of each pair is a figure with a caption, so both are equally wide.
        couples = re.findall(r'<div class="couple">\n(.*?)\n</div>\n</li>', text, re.DOTALL)
        assert len(couples) == 3
        for couple in couples:
            figures = couple.split("\n")
            assert len(figures) == 2
            for figure in figures:
                assert figure.startswith("<figure>")
                assert figure.endswith("</figcaption></figure>")
        assert text.count("no video of this class in the split") == 2  # w and z
        (row,) = re.findall(r'<tr><th scope="row">z</th>(.*?)</tr>', text)
        assert re.sub(r"<[^>]*>", " ", row).split() == ["0", "–", "0.0", "%", "–"]

    def test_wide_content_scrolls_in_its_box_with_a_hint(self, tmp_path):
        write_report(by_hand(), tmp_path, {})
        text = (tmp_path / "index.html").read_text(encoding="utf-8")
        page = Page(text)
        boxes = [a for a in page.attributes("div") if a.get("class") == "wide"]
        assert [box["aria-label"] for box in boxes] == ["Confusion matrix", "Classes"]
        assert all(box["tabindex"] == "0" for box in boxes)  # for arrow keys
        assert page.text.count("scroll it sideways") == 2
        with Image.open(tmp_path / "confusion.png") as matrix:
            width = matrix.width
        assert (
            f"@container (min-width: {width + 20}px) {{ .matrix-hint {{ display: none; }} }}"
            in text
        )

    def test_supports_all_screens_and_colours(self, written):
        text = (written / "index.html").read_text(encoding="utf-8")
        page = Page(text)
        assert page.attributes("html") == [{"lang": "en"}]
        assert {"charset": "utf-8"} in page.attributes("meta")
        assert any("width=device-width" in m.get("content", "") for m in page.attributes("meta"))
        assert "prefers-color-scheme: dark" in text
        assert all(attributes["alt"] for attributes in page.attributes("img"))

    def test_names_are_escaped(self, tmp_path):
        names = ("<script>alert(1)</script>", "a\"&'", "$x ${y} {z} %s", "走る")
        scores = VideoScores(
            ("</li><b>\udcff", "v"),
            np.array([0, 1]),
            np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]], np.float32),
            names,
        )
        write_report(scores, tmp_path, {"model": "<b>", "split": "<test>", "notes": ["<x>"]})
        page = Page((tmp_path / "index.html").read_text(encoding="utf-8"))
        assert not page.attributes("script")
        assert not page.attributes("b")
        for text in (*names, "</li><b>\\udcff", 'notes ["<x>"]', "Evaluation of <b>"):
            assert text in page.text

    def test_classes_are_in_order_of_accuracy(self, tmp_path):
        write_report(by_hand(), tmp_path, {})
        text = (tmp_path / "index.html").read_text(encoding="utf-8")
        assert re.findall(r'<th scope="row">(.)</th>', text) == list("vxuwyz")

    @pytest.mark.filterwarnings("error")
    def test_one_video_of_one_class(self, tmp_path):
        scores = VideoScores(("a",), np.array([0]), np.ones((1, 1), np.float32), ("u",))
        write_report(scores, tmp_path, {})
        page = Page((tmp_path / "index.html").read_text(encoding="utf-8"))
        assert "All videos are classified correctly." in page.text
        assert "no picture" in page.text


def test_no_thumbnails_without_known_records(tmp_path):
    shards = write_shards(tmp_path, [[("a", 0, 5), ("b", 1, 2)]])
    scores = score_videos(FirstFrame(), shards, "test")
    bare = dataclasses.replace(scores, middle_records=None)
    write_report(bare, tmp_path / "out", {}, split_records(shards, "test"))
    assert "image/jpeg" not in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_the_page_is_written_last(tmp_path, monkeypatch):
    def killed(path):
        if path.name == "index.html":
            raise KeyboardInterrupt
        return written_beside(path)

    written_beside = report_module.written_beside
    monkeypatch.setattr(report_module, "written_beside", killed)
    with pytest.raises(KeyboardInterrupt):
        write_report(by_hand(), tmp_path / "out", {})
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*FILES} - {"index.html"}


def test_a_folder_with_files_is_rejected(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(ValueError, match="`out`"):
        write_report(by_hand(), tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    with pytest.raises(ValueError, match="`out`"):
        write_report(by_hand(), tmp_path / "index.html", {})


def test_an_earlier_report_is_replaced_if_asked(tmp_path):
    write_report(by_hand(), tmp_path, {"model": "first"})
    with pytest.raises(ValueError, match="`out` holds an earlier report"):
        write_report(by_hand(), tmp_path, {"model": "second"})
    write_report(by_hand(), tmp_path, {"model": "second"}, overwrite=True)
    assert "second" in (tmp_path / "metrics.json").read_text()
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)


def test_a_folder_with_other_files_is_never_overwritten(tmp_path):
    write_report(by_hand(), tmp_path, {})
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match="`out` must be a new or empty folder"):
        write_report(by_hand(), tmp_path, {}, overwrite=True)


def test_a_replaced_report_is_not_complete_before_its_end(tmp_path, monkeypatch):
    write_report(by_hand(), tmp_path, {})

    def killed(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(report_module, "written_beside", killed)
    with pytest.raises(KeyboardInterrupt):
        write_report(by_hand(), tmp_path, {}, overwrite=True)
    assert not (tmp_path / "index.html").exists()


def test_partial_files_of_a_killed_evaluation_are_allowed(tmp_path):
    (tmp_path / ".part-1-index.html").write_text("half")
    write_report(by_hand(), tmp_path, {})
    assert (tmp_path / "index.html").is_file()
