import collections
import colorsys

import numpy as np
import pytest
import tensorflow as tf

from keras_t3d.data import Augmentation
from keras_t3d.data.augmentation import distortion
from keras_t3d.data.augmentation.distortion import (
    RAND_AUGMENT_OPERATIONS,
    distort,
    erase,
    jitter_colors,
)
from keras_t3d.data.augmentation.image_operations import (
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
)

STRONG = Augmentation(
    brightness=0.5, contrast=0.5, saturation=0.5, hue=0.2, rand_augment=2, erasing=0.5
)


@pytest.fixture(scope="module")
def clip():
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:20, :24]
    frame = np.stack([30 + 6 * x, 40 + 7 * y, 200 - 3 * (x + y)], -1)
    moving = np.stack([np.roll(frame, step, 1) for step in range(4)])
    return tf.constant((moving + rng.integers(0, 20, moving.shape)).astype(np.uint8))


def seed(number):
    return tf.constant([7, number], tf.int64)


def distorted(clip, augmentation, numbers):
    run = tf.function(lambda at: distort(clip, augmentation, at))
    return [run(seed(number)).numpy() for number in numbers]


@pytest.mark.pipeline
class TestDistort:
    def test_off_is_the_clip_itself(self, clip):
        assert distort(clip, Augmentation(), seed(0)) is clip
        with tf.Graph().as_default() as graph:
            before = tf.zeros((4, 20, 24, 3), tf.uint8), tf.zeros((2,), tf.int64)
            operations = len(graph.get_operations())
            assert distort(before[0], Augmentation(), before[1]) is before[0]
            assert len(graph.get_operations()) == operations

    def test_same_seed_same_bytes_whatever_the_global_seed(self, clip):
        first = distorted(clip, STRONG, range(4))
        tf.random.set_seed(99)
        second = distorted(clip, STRONG, range(4))
        tf.random.set_seed(3)
        eager = [distort(clip, STRONG, seed(number)).numpy() for number in range(4)]
        for ours, again, eagerly in zip(first, second, eager, strict=True):
            assert np.array_equal(ours, again)
            assert np.array_equal(ours, eagerly)

    def test_both_numbers_of_the_seed_count(self, clip):
        jitter = Augmentation(brightness=0.5)
        changed = [
            distort(clip, jitter, tf.constant(pair, tf.int64)).numpy()
            for pair in ([0, 0], [0, 1], [1, 0], [1, 1], [2**40, 5])
        ]
        assert len({values.tobytes() for values in changed}) == len(changed)

    def test_in_a_dataset_it_is_the_same_as_alone(self, clip):
        seeds = tf.stack([seed(number) for number in range(3)])
        dataset = tf.data.Dataset.from_tensor_slices(seeds).map(
            lambda at: distort(clip, STRONG, at), num_parallel_calls=2, deterministic=True
        )
        assert dataset.element_spec == tf.TensorSpec(clip.shape, tf.uint8)
        for number, changed in enumerate(dataset.as_numpy_iterator()):
            assert np.array_equal(changed, distort(clip, STRONG, seed(number)))

    def test_equal_frames_stay_equal(self, clip):
        still = tf.repeat(clip[:1], 5, axis=0)
        for changed in distorted(still, STRONG, range(40)):
            assert (changed == changed[:1]).all()

    def test_parts_do_not_change_each_others_draws(self, clip):
        """Erasing on top leaves the jitter of the same seed as it was."""
        jitter = Augmentation(brightness=0.5, hue=0.1)
        both = Augmentation(brightness=0.5, hue=0.1, erasing=1.0)
        alone, erased = distorted(clip, jitter, [3])[0], distorted(clip, both, [3])[0]
        kept = (alone == erased).all(-1)
        assert 0.5 < kept.mean() < 1

    @pytest.mark.parametrize(
        "wrong",
        [
            tf.zeros((4, 20, 24, 3)),
            tf.zeros((20, 24, 3), tf.uint8),
            tf.zeros((4, 20, 24, 1), tf.uint8),
        ],
    )
    def test_other_clips_are_refused(self, wrong):
        with pytest.raises(ValueError, match=r"`clip`.*Received: "):
            distort(wrong, STRONG, seed(0))


class TestJitter:
    @pytest.mark.parametrize(
        ("field", "adjust"),
        [
            ("brightness", adjust_brightness),
            ("contrast", adjust_contrast),
            ("saturation", adjust_saturation),
        ],
    )
    @pytest.mark.parametrize("strength", [0.3, 1.5])
    def test_factors_are_uniform_between_their_limits(
        self, monkeypatch, clip, field, adjust, strength
    ):
        factors = []

        def noting(clip, factor):
            factors.append(float(factor))
            return adjust(clip, factor)

        monkeypatch.setattr(distortion, adjust.__name__, noting)
        for number in range(200):
            jitter_colors(clip, Augmentation(**{field: strength}), seed(number))
        lowest, highest = max(0, 1 - strength), 1 + strength
        spread = (highest - lowest) / 20
        assert lowest <= min(factors) < lowest + spread
        assert highest - spread < max(factors) <= highest
        assert np.mean(factors) == pytest.approx((lowest + highest) / 2, abs=2 * spread)

    def test_hue_turns_the_colour_circle(self, clip):
        turns = []
        red = tf.constant(np.full((1, 1, 1, 3), [200, 40, 40], np.uint8))
        for changed in distorted(red, Augmentation(hue=0.25), range(100)):
            hue, saturation, value = colorsys.rgb_to_hsv(*changed[0, 0, 0] / 255)
            assert value == pytest.approx(200 / 255, abs=0.005)
            assert saturation == pytest.approx(0.8, abs=0.01)
            turns.append((hue + 0.5) % 1 - 0.5)
        assert -0.255 < min(turns) < -0.2
        assert 0.2 < max(turns) < 0.255

    def test_steps_come_in_every_order(self, monkeypatch, clip):
        orders = collections.Counter()
        order = []
        for name in ("adjust_brightness", "adjust_contrast", "adjust_saturation"):
            monkeypatch.setattr(
                distortion, name, lambda clip, factor, name=name: order.append(name) or clip
            )
        for number in range(120):
            order.clear()
            jitter_colors(
                clip, Augmentation(brightness=0.1, contrast=0.1, saturation=0.1), seed(number)
            )
            orders[tuple(order)] += 1
        assert len(orders) == 6
        assert all(len(set(names)) == 3 for names in orders)
        assert min(orders.values()) > 6  # 20 expected of each

    def test_off_strengths_leave_out_their_operations(self, clip):
        grey = tf.constant(np.full((2, 4, 4, 3), 77, np.uint8))
        colors = Augmentation(contrast=0.9, saturation=0.9, hue=0.5)
        for changed in distorted(grey, colors, range(20)):
            assert (changed == 77).all()


class TestRandAugment:
    def test_the_operations_are_the_published_list(self):
        published = """identity autocontrast equalize rotate solarize color posterize contrast
            brightness sharpness shear_x shear_y translate_x translate_y"""
        assert list(RAND_AUGMENT_OPERATIONS) == published.split()

    @pytest.mark.parametrize("name", RAND_AUGMENT_OPERATIONS)
    def test_magnitude_0_changes_nothing_but_by_histogram(self, clip, name):
        changed = RAND_AUGMENT_OPERATIONS[name](clip, tf.constant(0.0))
        unchanged = name not in ("autocontrast", "equalize")
        assert np.array_equal(changed, clip) == unchanged

    @pytest.mark.parametrize("name", RAND_AUGMENT_OPERATIONS)
    def test_signs_matter_where_they_should(self, clip, name):
        one, other = (
            RAND_AUGMENT_OPERATIONS[name](clip, tf.constant(sign * 0.5)) for sign in (1, -1)
        )
        unsigned = ("identity", "autocontrast", "equalize", "solarize", "posterize")
        assert np.array_equal(one, other) == (name in unsigned)
        assert np.array_equal(one, clip) == (name == "identity")

    @pytest.mark.parametrize(
        ("magnitude", "bits", "threshold"),
        [(0.3, 7, 179.2), (0.4, 6, 153.6), (0.5, 6, 128), (1.0, 4, 0)],
    )
    def test_strengths_of_posterize_and_solarize(self, clip, magnitude, bits, threshold):
        values = clip.numpy()
        posterized = RAND_AUGMENT_OPERATIONS["posterize"](clip, tf.constant(magnitude))
        assert np.array_equal(posterized, values >> (8 - bits) << (8 - bits))
        solarized = RAND_AUGMENT_OPERATIONS["solarize"](clip, tf.constant(-magnitude))
        assert np.array_equal(solarized, np.where(values >= threshold, 255 - values, values))

    def test_strengths_of_shifts(self):
        """A bright pixel moves as far as the magnitude says."""
        values = np.zeros((1, 331, 331, 3), np.uint8)
        values[0, 165 + 100, 165] = 255  # 100 below the centre
        clip = tf.constant(values)

        def place(name):
            changed = RAND_AUGMENT_OPERATIONS[name](clip, tf.constant(1.0)).numpy()
            inside = np.where(changed == 128, 0, changed)[0, ..., 0]
            return np.unravel_index(inside.argmax(), inside.shape)

        assert place("translate_x") == (265, 15)
        assert place("translate_y") == (115, 165)
        assert place("shear_x") == (265, 135)
        assert place("rotate") == (165 + 87, 165 + 50)

    def test_each_operation_is_drawn_equally_often_with_either_sign(self, monkeypatch, clip):
        drawn = collections.Counter()
        strengths = collections.Counter()

        def noting(name):
            def operation(clip, strength):
                drawn[name] += 1
                strengths[round(float(strength), 3)] += 1
                return clip

            return operation

        for name in RAND_AUGMENT_OPERATIONS:
            monkeypatch.setitem(RAND_AUGMENT_OPERATIONS, name, noting(name))
        for number in range(210):
            distort(clip, Augmentation(rand_augment=2, rand_augment_magnitude=0.4), seed(number))
        assert sum(drawn.values()) == 420
        assert len(drawn) == 14
        assert 12 < min(drawn.values()) <= max(drawn.values()) < 55  # 30 expected of each
        assert set(strengths) == {0.4, -0.4}
        assert 170 < strengths[0.4] < 250


class TestErasing:
    def boxes(self, probability, numbers):
        """(top, left, bottom, right) of each erased box, on black clips of 40 x 60."""
        black = tf.zeros((3, 40, 60, 3), tf.uint8)
        run = tf.function(lambda at: erase(black, probability, at))
        for number in numbers:
            clip = run(seed(number)).numpy()
            assert (clip == clip[:1]).all()
            rows, columns = np.nonzero(clip[0].any(-1))
            if len(rows) == 0:
                continue
            box = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
            noise = clip[0, box[0] : box[2], box[1] : box[3]]
            assert noise.any(-1).mean() > 0.95  # the box is full
            yield box

    def test_share_of_erased_clips_is_the_probability(self):
        erased = list(self.boxes(0.25, range(400)))
        assert len(erased) == pytest.approx(100, abs=30)
        assert list(self.boxes(0.0, range(20))) == []
        assert len(list(self.boxes(1.0, range(20)))) == 20

    def test_areas_and_shapes_are_those_of_the_paper(self):
        boxes = np.array(list(self.boxes(1.0, range(300))))
        heights, widths = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        areas = heights * widths / 2400
        assert 0.01 < areas.min() < 0.04
        assert 0.29 < areas.max() < 0.36
        assert areas.mean() == pytest.approx((0.02 + 1 / 3) / 2, abs=0.02)
        assert (heights / widths).min() == pytest.approx(0.3, abs=0.1)
        assert (heights / widths).max() == pytest.approx(10 / 3, abs=0.8)

    def test_every_edge_is_reached(self):
        boxes = np.array(list(self.boxes(1.0, range(300))))
        assert boxes.min(0)[:2].tolist() == [0, 0]
        assert boxes.max(0)[2:].tolist() == [40, 60]

    def test_noise_has_all_values(self):
        white = tf.fill((1, 64, 64, 3), tf.constant(255, tf.uint8))
        noise = np.concatenate([erase(white, 1.0, seed(n)).numpy().ravel() for n in range(20)])
        assert set(noise.tolist()) == set(range(256))
        assert noise[noise < 255].mean() == pytest.approx(127, abs=4)
