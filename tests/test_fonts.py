import io
import re
import types
import warnings

import matplotlib.font_manager
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image, ImageDraw

from keras_t3d import fonts
from keras_t3d.cli import main
from keras_t3d.data.contact_sheet import contact_sheet
from keras_t3d.evaluation import VideoScores, write_report
from keras_t3d.evaluation.charts import draw_confusion_matrix
from keras_t3d.fonts import FontWarning, PillowFont, bundled_font, find_fonts, font_families
from keras_t3d.inference import Timeline, WindowPrediction
from keras_t3d.inference.overlay import draw_classes
from tests.data.test_inspection import video, write_shards

CHINESE, KOREAN, HINDI = "跑步", "달리기", "दौड़"


def make_font(path, characters, *, family=None, weight=400):
    """Writes a font whose characters are solid squares; they are no other font's pictures."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 900), (900, 900), (900, 0)):
        pen.lineTo(point)
    pen.closePath()
    square, empty = pen.glyph(), TTGlyphPen(None).glyph()
    names = {ord(character): f"u{ord(character):04X}" for character in characters}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    builder.setupGlyf({".notdef": empty, **dict.fromkeys(names.values(), square)})
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names.values()], (1000, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-200)
    builder.setupNameTable({"familyName": family or path.stem, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=900, usWeightClass=weight)
    builder.setupPost()
    builder.save(path)
    return str(path)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Lets a test choose the fonts that are installed, beside those that Matplotlib brings."""
    bundled = matplotlib.font_manager.findSystemFonts([matplotlib.get_data_path()])
    manager = matplotlib.font_manager.fontManager
    brought = [entry for entry in manager.ttflist if entry.fname in bundled]
    monkeypatch.setattr(manager, "ttflist", brought)
    installed = []
    monkeypatch.setattr(matplotlib.font_manager, "findSystemFonts", lambda: installed)

    def install(name, characters, **options):
        installed.append(make_font(tmp_path / f"{name}.ttf", characters, **options))
        return installed[-1]

    return install


def dark_share(picture):
    """The share of dark pixels: squares have far more than boxes of thin lines."""
    return (np.asarray(picture.convert("L")) < 128).mean()


def test_the_usual_font_where_it_suffices(machine):
    machine("All", "golf" + CHINESE)
    assert find_fonts(["golf", "Größe", "бег", "جري", "$x$\n"]) == (bundled_font(),)


def test_one_font_with_all_characters_is_preferred(machine):
    machine("A Part", "跑")
    whole = machine("Whole", CHINESE + KOREAN)
    assert find_fonts([CHINESE, KOREAN, "golf"]) == (bundled_font(), whole)


def test_upright_fonts_of_normal_weight_are_preferred(machine):
    machine("A Bold", CHINESE, weight=700)
    machine("B Mono", CHINESE)
    sans = machine("C Sans", CHINESE)
    assert find_fonts([CHINESE]) == (bundled_font(), sans)


def test_scripts_of_several_fonts(machine):
    chinese, hindi = machine("Chinese", CHINESE), machine("Hindi", HINDI)
    assert set(find_fonts([CHINESE, f"{HINDI} 2"])) == {bundled_font(), chinese, hindi}


def test_fonts_of_placeholders_are_passed_over(machine):
    machine("Blank", CHINESE, family="Adobe Blank")
    assert find_fonts([CHINESE]) == (bundled_font(),)


def test_a_file_that_is_no_font_is_passed_over(machine, tmp_path):
    matplotlib.font_manager.findSystemFonts().append(str(tmp_path / "absent.ttf"))
    chinese = machine("Chinese", CHINESE)
    assert find_fonts([CHINESE]) == (bundled_font(), chinese)


@pytest.mark.parametrize(
    ("texts", "characters", "packages"),
    [
        ([CHINESE, "golf"], "步 跑,", "fonts-noto-cjk"),
        (["ದ"], "ದ,", "fonts-noto-core"),
        (["跑ದ"], "ದ 跑,", "fonts-noto-cjk and fonts-noto-core"),
    ],
)
def test_one_warning_names_the_characters_and_what_to_install(machine, texts, characters, packages):
    with pytest.warns(FontWarning) as warned:
        assert font_families(texts)[0] == "sans-serif"
    (warning,) = warned
    assert f"the characters {characters}" in str(warning.message)
    assert str(warning.message).endswith(f"the package {packages}")


def test_many_missing_characters_are_counted(machine):
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 50)))
    with pytest.warns(FontWarning, match="and 30 more, so"):
        font_families([text])


@pytest.mark.filterwarnings("error")
def test_spaces_controls_and_selectors_need_no_font(machine):
    assert find_fonts(["a\u200d\u3000\ufe0f\n\udcff"]) == (bundled_font(),)


@pytest.mark.filterwarnings("error")
class TestPictures:
    """A name of squares darkens a picture where a name of boxes does not."""

    def test_matrix(self, machine):
        def matrix():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FontWarning)
                png = draw_confusion_matrix(np.zeros((2, 2), np.int64), [CHINESE * 5, "golf"])
            return Image.open(io.BytesIO(png))

        boxes = matrix()
        machine("Chinese Matrix", CHINESE)
        squares = matrix()
        assert squares.size == boxes.size
        assert dark_share(squares) > dark_share(boxes) + 0.01
        # The longest name is inside: no dark pixel touches the border.
        pixels = np.asarray(squares.convert("L"))
        assert pixels[:, :3].min() > 200
        assert pixels[-3:].min() > 200

    def test_timeline(self, machine, tmp_path):
        def timeline(name):
            drawn = Timeline([CHINESE * 3])
            drawn.add(WindowPrediction(0, 0.0, 1.0, np.array([0.5], np.float32)))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FontWarning)
                drawn.save(tmp_path / name, title=f"{CHINESE}.mp4")
            return Image.open(tmp_path / name)

        boxes = timeline("boxes.png")
        machine("Chinese Timeline", CHINESE)
        assert dark_share(timeline("squares.png")) > dark_share(boxes) + 0.001

    def test_contact_sheet(self, machine, tmp_path):
        def sheet(name):
            path = f"{CHINESE}/{CHINESE * 60}.mp4"
            shards = write_shards(tmp_path, [CHINESE], [("train", path, CHINESE, video(["white"]))])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FontWarning)
                contact_sheet(shards, tmp_path / name, per_class=1)
            return Image.open(tmp_path / name)

        boxes = sheet("boxes.png")
        machine("Chinese Sheet", CHINESE)
        squares = sheet("squares.png")
        for top, bottom in ((0, 24), (72, 82), (84, 94)):  # heading, two lines of the id
            part = (0, top, squares.width, bottom)
            assert dark_share(squares.crop(part)) > dark_share(boxes.crop(part)) + 0.02
        assert (np.asarray(squares)[:, -8:] == 255).all()  # no line leaves its tile

    def test_overlay(self, machine):
        grey = np.full((240, 320, 3), 128, np.uint8)
        machine("Chinese Overlay", CHINESE)
        classes = ((CHINESE, 0.0),)
        with_font = draw_classes(grey, classes, find_fonts([CHINESE]))
        assert (with_font > 250).sum() > 2 * (draw_classes(grey, classes) > 250).sum()


def test_a_report_warns_once(machine, tmp_path):
    scores = VideoScores(("a",), np.array([0]), np.eye(2, dtype=np.float32)[:1], (CHINESE, "golf"))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        write_report(scores, tmp_path / "out", {})
    assert [warning.category for warning in warned] == [FontWarning]


def test_the_command_prints_one_line_without_a_path(machine, tmp_path, capsys, monkeypatch):
    def draw(parser, words):
        draw_confusion_matrix(np.eye(1, dtype=np.int64), [CHINESE])

    command = types.SimpleNamespace(add_arguments=lambda parser: None, run=draw)
    monkeypatch.setattr("keras_t3d.cli._module", lambda name: command)
    assert main(["inspect"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("keras-t3d: warning: No font on this machine has the characters 步 跑,")
    assert not re.search(r"\.py|Glyph", line)


def test_a_text_is_as_long_as_its_parts(machine):
    machine("Chinese Length", CHINESE)
    font = PillowFont(find_fonts([CHINESE]), 20)
    assert font.length(f"a{CHINESE}") == font.usual.getlength("a") + 2 * 20
    image = Image.new("L", (100, 30))
    font.draw(ImageDraw.Draw(image), (10, 25), CHINESE, 255)
    left, top, right, bottom = image.getbbox()
    assert (left, right, bottom) == (10, 10 + 20 + 18, 25)
    assert bottom - top == pytest.approx(18, abs=1)
    assert fonts.find_fonts([]) == (bundled_font(),)
