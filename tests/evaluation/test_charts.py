import io

import numpy as np
import pytest
from PIL import Image

from keras_t3d.evaluation.calibration import compute_calibration
from keras_t3d.evaluation.charts import DARK, LIGHT, draw_confusion_matrix, draw_reliability_diagram


def opened(png):
    with Image.open(io.BytesIO(png)) as image:
        return image.convert("RGB"), dict(image.info)


@pytest.mark.parametrize("classes", [1, 2, 30])
@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_a_diagonal_matrix_is_coloured_on_its_diagonal(classes, palette):
    png = draw_confusion_matrix(np.eye(classes, dtype=np.int64), ["x"] * classes, palette)
    image, info = opened(png)
    assert "Software" not in info
    pixels = np.asarray(image)
    assert pixels[0, 0].tolist() == list(bytes.fromhex(palette.background[1:]))
    strong = np.array(list(bytes.fromhex(palette.data[1:])))
    coloured = (np.abs(pixels.astype(int) - strong).max(axis=2) <= 1).mean()
    cell = 720 / classes if classes > 16 else 44
    assert coloured == pytest.approx(classes * cell**2 / pixels[..., 0].size, rel=0.3)


@pytest.mark.filterwarnings("error", "ignore::keras_t3d.fonts.FontWarning")
def test_names_are_text():
    names = ["$a_1$", "<b>", "走る", "x" * 90]
    assert opened(draw_confusion_matrix(np.eye(4, dtype=np.int64), names))[0].size[0] < 700


def test_four_hundred_names_have_room():
    image, _ = opened(draw_confusion_matrix(np.eye(400, dtype=np.int64), ["brush hair"] * 400))
    assert 3600 < image.size[0] == image.size[1] < 4000


def test_more_classes_give_no_larger_picture():
    image, _ = opened(draw_confusion_matrix(np.eye(900, dtype=np.int64), ["brush hair"] * 900))
    assert image.size[0] < 4000


def test_reliability_is_a_picture_and_the_same_each_time():
    bins = compute_calibration(np.array([0.2, 0.7, 0.9]), np.array([True, False, True]))["bins"]
    assert draw_reliability_diagram(bins) == draw_reliability_diagram(bins)
    assert draw_reliability_diagram(bins) != draw_reliability_diagram(bins, DARK)
    assert opened(draw_reliability_diagram(bins))[0].size == (520, 560)
