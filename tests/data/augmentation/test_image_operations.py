"""Each operation against Pillow, or against plain NumPy where Pillow has no twin."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageEnhance, ImageOps

from keras_t3d.data.augmentation import image_operations as ops

FACTORS = [0.0, 0.3, 0.7, 1.0, 1.25, 1.9]

images = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))


@pytest.fixture(scope="module")
def image():
    """Smooth colours with some noise, not the whole range."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:13, :17]
    colors = np.stack([40 + 8 * x, 30 + 9 * y, 90 + 3 * (x + y)], -1)
    return (colors + rng.integers(0, 25, colors.shape)).astype(np.uint8)


def on_one_frame(operation, image, *args):
    clip = operation(tf.constant(image[None]), *(tf.constant(arg) for arg in args))
    assert clip.dtype == tf.uint8
    assert clip.shape == (1, *image.shape)
    return clip[0].numpy()


@pytest.mark.parametrize(
    ("operation", "enhancer"),
    [
        (ops.adjust_brightness, ImageEnhance.Brightness),
        (ops.adjust_contrast, ImageEnhance.Contrast),
        (ops.adjust_saturation, ImageEnhance.Color),
        (ops.adjust_sharpness, ImageEnhance.Sharpness),
    ],
)
@pytest.mark.parametrize("factor", FACTORS)
def test_blends_are_pillows(image, operation, enhancer, factor):
    expected = np.asarray(enhancer(Image.fromarray(image)).enhance(factor))
    difference = on_one_frame(operation, image, factor).astype(int) - expected
    # Compilers may fuse Pillow's product and sum, and a value just below an integer is cut.
    assert np.abs(difference).max() <= 1
    assert (difference == 0).mean() > 0.99


@pytest.mark.parametrize("factor", FACTORS)
def test_blends_by_numpy(image, factor):
    factor = np.float32(factor)
    pixels = image.astype(np.float32)
    grey = (image @ np.array([19595, 38470, 7471]) + 32768) // 65536
    mean = np.float32(int(grey.mean() + 0.5))

    def blended(degenerate):
        mixed = degenerate + factor * (pixels - degenerate)
        return np.clip(mixed, 0, 255).astype(np.uint8)

    for operation, degenerate in (
        (ops.adjust_brightness, np.float32(0)),
        (ops.adjust_contrast, mean),
        (ops.adjust_saturation, grey[..., None].astype(np.float32)),
    ):
        assert np.array_equal(on_one_frame(operation, image, factor), blended(degenerate))


def test_sharpness_0_is_the_mean_of_neighbours_but_at_the_edge(image):
    smooth = on_one_frame(ops.adjust_sharpness, image, 0.0)
    around = image[3:6, 4:7].sum((0, 1), int) + 4 * image[4, 5].astype(int)
    assert np.array_equal(smooth[4, 5], (around / 13 + 0.5).astype(int))
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        assert np.array_equal(smooth[edge], image[edge])


@settings(max_examples=30, deadline=None)
@given(images)
def test_tables_are_pillows(image):
    pillow = Image.fromarray(image)
    assert np.array_equal(on_one_frame(ops.autocontrast, image), ImageOps.autocontrast(pillow))
    assert np.array_equal(on_one_frame(ops.equalize, image), ImageOps.equalize(pillow))


def test_equalize_of_a_real_histogram(image):
    large = np.tile(image, (6, 5, 1))  # so many pixels that values do move
    equalized = on_one_frame(ops.equalize, large)
    assert np.array_equal(equalized, ImageOps.equalize(Image.fromarray(large)))
    assert not np.array_equal(equalized, large)


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_is_pillows(image, bits):
    expected = ImageOps.posterize(Image.fromarray(image), bits)
    assert np.array_equal(on_one_frame(ops.posterize, image, bits), expected)


@pytest.mark.parametrize("threshold", [0.0, 1.0, 100.5, 128.0, 255.0, 256.0])
def test_solarize_is_pillows(image, threshold):
    expected = ImageOps.solarize(Image.fromarray(image), threshold)
    assert np.array_equal(on_one_frame(ops.solarize, image, threshold), expected)


def test_rotate_turns_counter_clockwise(image):
    square = image[:, :13]
    for quarters in range(-4, 5):
        turned = on_one_frame(ops.rotate, square, 90.0 * quarters)
        difference = turned.astype(int) - np.rot90(square, quarters)
        # The sine of 180 degrees is not quite 0 in float32, so edges may read a little grey.
        assert np.abs(difference).max() <= 1


def test_rotate_by_an_angle_is_pillows(image):
    smooth = np.asarray(Image.fromarray(image).resize((60, 50), Image.Resampling.BICUBIC))
    turned = on_one_frame(ops.rotate, smooth, 20.0)
    pillow = Image.fromarray(smooth)
    expected = np.asarray(pillow.rotate(20, Image.Resampling.BILINEAR, fillcolor=(128,) * 3))
    # Pillow fills edge pixels otherwise: compare well inside.
    y, x = np.mgrid[:50, :60]
    inside = np.hypot(y - 24.5, x - 29.5) < 20
    assert np.abs(turned.astype(int) - expected)[inside].max() <= 1
    assert (turned[0, 0] == 128).all()


def test_shear_x_moves_rows_by_their_distance_from_the_centre(image):
    sheared = on_one_frame(ops.shear_x, image, 1.0)
    for row in range(13):
        shift = row - 6
        expected = np.full_like(image[row], 128)
        for column in range(17):
            if 0 <= column + shift < 17:
                expected[column] = image[row, column + shift]
        assert np.array_equal(sheared[row], expected)


def test_shear_y_is_shear_x_of_the_transposed(image):
    transposed = np.ascontiguousarray(image.swapaxes(0, 1))
    expected = on_one_frame(ops.shear_x, transposed, -0.3).swapaxes(0, 1)
    assert np.array_equal(on_one_frame(ops.shear_y, image, -0.3), expected)


@pytest.mark.parametrize("pixels", [-4, 0, 3])
def test_translations_move_by_a_share_and_fill_with_grey(image, pixels):
    def moved(values):  # along the first axis, towards its start
        padded = np.pad(values, [(4, 4), (0, 0), (0, 0)], constant_values=128)
        return padded[4 + pixels : 4 + pixels + len(values)]

    across = moved(image.swapaxes(0, 1)).swapaxes(0, 1)
    left = on_one_frame(ops.translate_x, image, pixels / 17)
    up = on_one_frame(ops.translate_y, image, pixels / 13)
    # 17 * (3 / 17) is not quite 3 in float32.
    assert np.abs(left.astype(int) - across).max() <= 1
    assert np.abs(up.astype(int) - moved(image)).max() <= 1


def test_half_a_pixel_is_the_mean_of_two_rounded():
    image = np.zeros((1, 2, 3), np.uint8)
    image[0, 1] = [3, 100, 255]
    moved = on_one_frame(ops.translate_x, image, 0.25)
    assert moved[0, 0].tolist() == [2, 50, 128]
    assert moved[0, 1].tolist() == [66, 114, 192]  # half of it the fill


def test_statistics_are_those_of_the_clip_not_of_the_frame(image):
    """Two unlike frames change by one table: equal values stay equal."""
    clip = np.stack([image, image // 2])
    changed = ops.autocontrast(tf.constant(clip)).numpy()
    both = np.concatenate(list(clip))
    assert np.array_equal(
        np.concatenate(list(changed)), ImageOps.autocontrast(Image.fromarray(both))
    )
    equalized = ops.equalize(tf.constant(clip)).numpy()
    assert np.array_equal(np.concatenate(list(equalized)), ImageOps.equalize(Image.fromarray(both)))
    flat = ops.adjust_contrast(tf.constant(clip), 0.0).numpy()
    assert len(np.unique(flat)) == 1


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_paste_replaces_the_box_only(data):
    height, width = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    top, left = data.draw(st.integers(0, height)), data.draw(st.integers(0, width))
    box_height = data.draw(st.integers(0, height - top))
    box_width = data.draw(st.integers(0, width - left))
    clips = np.arange(2 * 3 * height * width * 3, dtype=np.int32).reshape(2, 3, height, width, 3)
    expected = clips.copy()
    box = np.s_[:, :, top : top + box_height, left : left + box_width]
    expected[box] = -clips[box]
    pasted = ops.paste(
        tf.constant(clips), tf.constant(-clips), tf.constant([top, left, box_height, box_width])
    )
    assert np.array_equal(pasted, expected)


@settings(max_examples=20, deadline=None)
@given(images)
def test_no_size_is_too_small(image):
    for factor in (0.0, 1.5):
        sharpened = on_one_frame(ops.adjust_sharpness, image, factor)
        if min(image.shape[:2]) < 3:
            assert np.array_equal(sharpened, image)
    assert np.array_equal(on_one_frame(ops.rotate, image, 0.0), image)
