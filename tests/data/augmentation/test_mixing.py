import numpy as np
import pytest
import tensorflow as tf

from keras_t3d.data import Augmentation
from keras_t3d.data.augmentation.mixing import beta, cutmix, mix, mixup

LABELS = tf.constant([0, 1, 2, 3], tf.int64)


@pytest.fixture(scope="module")
def clips():
    return tf.constant(np.random.default_rng(0).integers(0, 256, (4, 2, 12, 16, 3), np.uint8))


def seed(number):
    return tf.constant([5, number], tf.int64)


def mixed(clips, augmentation, numbers, num_classes=5):
    run = tf.function(lambda at: mix(clips, LABELS, num_classes, augmentation, at))
    return [tuple(part.numpy() for part in run(seed(number))) for number in numbers]


def half_a_batch_away(batch):
    return np.roll(batch, len(batch) // 2, axis=0)


class TestMix:
    def test_off_is_one_hot_and_the_clips_themselves(self, clips):
        same, labels = mix(clips, LABELS, 5, Augmentation(), seed(0))
        assert same is clips
        assert labels.dtype == tf.float32
        assert np.array_equal(labels, np.eye(5)[:4])

    def test_mixup_by_numpy(self, clips):
        shares = []
        for changed, labels in mixed(clips, Augmentation(mixup=0.8), range(20)):
            share = labels[0, 0]
            values = clips.numpy().astype(np.float32)
            blended = share * values + (np.float32(1) - share) * half_a_batch_away(values)
            # A fused product and sum may differ in its last bit: at a half it rounds otherwise.
            assert np.abs(changed - (blended + 0.5).astype(np.uint8).astype(int)).max() <= 1
            assert (changed == (blended + 0.5).astype(np.uint8)).mean() > 0.999
            one_hot = np.eye(5, dtype=np.float32)[:4]
            expected = share * one_hot + (1 - share) * half_a_batch_away(one_hot)
            assert np.allclose(labels, expected, atol=1e-6)
            shares.append(share)
        assert len(set(shares)) == 20

    def test_cutmix_labels_are_the_shares_of_pixels(self, clips):
        kept_shares = []
        for changed, labels in mixed(clips, Augmentation(cutmix=1.0), range(40)):
            own = (changed == clips.numpy()).all(-1)
            other = (changed == half_a_batch_away(clips.numpy())).all(-1)
            assert (own | other).all()
            assert (own == own[:1, :1]).all()  # one box for all clips and frames
            rows, columns = np.nonzero(~own[0, 0])
            if len(rows):  # the box is whole
                area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
                assert len(rows) == area
            kept = own[0, 0].mean()
            assert labels[0] == pytest.approx([kept, 0, 1 - kept, 0, 0], abs=1e-6)
            kept_shares.append(kept)
        assert min(kept_shares) < 0.4
        assert max(kept_shares) > 0.9

    def test_both_take_turns_by_equal_chance(self, clips):
        both = Augmentation(mixup=1.0, cutmix=1.0)
        cut = 0
        for changed, _ in mixed(clips, both, range(200)):
            partners = half_a_batch_away(clips.numpy())
            cut += ((changed == clips.numpy()).all(-1) | (changed == partners).all(-1)).all()
        assert cut == pytest.approx(100, abs=25)

    @pytest.mark.parametrize(
        "augmentation",
        [
            Augmentation(),
            Augmentation(mixup=0.2),
            Augmentation(cutmix=1),
            Augmentation(mixup=1, cutmix=1),
        ],
    )
    def test_labels_add_up_to_1(self, clips, augmentation):
        for _, labels in mixed(clips, augmentation, range(10)):
            assert labels.shape == (4, 5)
            assert (labels >= 0).all()
            assert labels.sum(-1) == pytest.approx(np.ones(4), abs=1e-6)

    def test_same_seed_same_bytes_whatever_the_global_seed(self, clips):
        both = Augmentation(mixup=0.8, cutmix=1.0)
        first = mixed(clips, both, range(10))
        tf.random.set_seed(42)
        again = mixed(clips, both, range(10))
        for ours, theirs in zip(first, again, strict=True):
            assert np.array_equal(ours[0], theirs[0])
            assert np.array_equal(ours[1], theirs[1])
        assert len({values.tobytes() for values, _ in first}) == 10

    def test_equal_frames_stay_equal(self, clips):
        still = tf.repeat(clips[:, :1], 4, axis=1)
        for changed, _ in mixed(still, Augmentation(mixup=0.8, cutmix=1.0), range(10)):
            assert (changed == changed[:, :1]).all()

    def test_repeats_of_a_video_are_not_mixed_with_each_other(self):
        videos = tf.repeat(tf.range(4, dtype=tf.int64), 2)  # each twice, side by side
        clips = tf.zeros((8, 1, 2, 2, 3), tf.uint8)
        _, labels = mix(clips, videos, 4, Augmentation(mixup=100.0), seed(0))
        assert (np.count_nonzero(labels, axis=1) == 2).all()

    @pytest.mark.parametrize("batch", [1, 2, 3])
    def test_any_batch_size(self, batch):
        clips = tf.constant(
            np.random.default_rng(0).integers(0, 256, (batch, 2, 4, 4, 3), np.uint8)
        )
        both = Augmentation(mixup=0.8, cutmix=1.0)
        run = tf.function(
            lambda clips, labels, at: mix(clips, labels, 3, both, at),
            input_signature=[  # the batch size is known only when a batch comes
                tf.TensorSpec((None, *clips.shape[1:]), tf.uint8),
                tf.TensorSpec((None,), tf.int64),
                tf.TensorSpec((2,), tf.int64),
            ],
        )
        for number in range(4):
            changed, labels = run(clips, tf.range(batch, dtype=tf.int64), seed(number))
            assert changed.shape == clips.shape
            assert labels.numpy().sum(-1) == pytest.approx(np.ones(batch), abs=1e-6)
            if batch == 1:
                assert np.array_equal(changed, clips)

    @pytest.mark.parametrize("mixing", [{"mixup": 0.8}, {"cutmix": 1.0}])
    def test_one_clip_has_no_partner(self, clips, mixing):
        alone = clips[:1], LABELS[:1], 5
        with pytest.raises(ValueError, match=r"`mixup`.*Received: .* 1"):
            mix(*alone, Augmentation(**mixing), seed(0))
        dataset = tf.data.Dataset.from_tensor_slices((clips, LABELS))
        with pytest.raises(Exception, match="`mixup`"):  # of another type, from AutoGraph
            dataset.batch(1, drop_remainder=True).map(
                lambda *batch: mix(*batch, 5, Augmentation(**mixing), seed(0))
            )
        same, labels = mix(*alone, Augmentation(), seed(0))
        assert np.array_equal(same, clips[:1])
        assert labels.numpy().tolist() == [[1, 0, 0, 0, 0]]

    def test_in_a_dataset_of_batches(self, clips):
        both = Augmentation(mixup=0.8, cutmix=1.0)
        dataset = (
            tf.data.Dataset.from_tensor_slices((clips, LABELS))
            .repeat()
            .batch(4)
            .enumerate()
            .map(lambda step, batch: mix(*batch, 5, both, tf.stack([step, step])))
            .take(3)
        )
        specs = dataset.element_spec
        assert specs[0].shape[1:] == clips.shape[1:]
        assert (specs[0].dtype, specs[1]) == (tf.uint8, tf.TensorSpec((None, 5), tf.float32))
        for step, (changed, labels) in enumerate(dataset.as_numpy_iterator()):
            alone = mix(clips, LABELS, 5, both, tf.constant([step, step], tf.int64))
            assert np.array_equal(changed, alone[0])
            assert np.array_equal(labels, alone[1])

    @pytest.mark.parametrize("wrong", [0, -3, 2.0, True, None])
    def test_num_classes_is_checked(self, clips, wrong):
        with pytest.raises(ValueError, match=r"`num_classes`.*Received: "):
            mix(clips, LABELS, wrong, Augmentation(), seed(0))

    def test_clips_and_labels_are_checked(self, clips):
        for wrong in (clips[0], tf.cast(clips, tf.float32)):
            with pytest.raises(ValueError, match=r"`clips`.*Received: "):
                mix(wrong, LABELS, 5, Augmentation(), seed(0))
        for wrong in (tf.one_hot(LABELS, 5), LABELS[0], tf.cast(LABELS, tf.float32)):
            with pytest.raises(ValueError, match=r"`labels`.*Received: "):
                mix(clips, wrong, 5, Augmentation(), seed(0))

    @pytest.mark.parametrize("labels", [[0, 1, 2, 3], [0, -1, 2, 0]])
    def test_labels_beyond_the_classes_are_refused(self, clips, labels):
        labels = tf.constant(labels, tf.int64)
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"from 0 to 2\. Received"):
            mix(clips, labels, 3, Augmentation(mixup=1.0), seed(0))


class TestParts:
    def test_mixup_of_known_shares(self):
        clips = tf.constant(np.array([10, 201], np.uint8).reshape(2, 1, 1, 1, 1))
        for share, expected in ((0.0, [201, 10]), (0.25, [153, 58]), (1.0, [10, 201])):
            changed, kept = mixup(clips, tf.constant(share))
            assert changed.numpy().ravel().tolist() == expected
            assert float(kept) == share

    def test_cutmix_of_extreme_shares(self, clips):
        for number in range(10):
            changed, kept = cutmix(clips, tf.constant(1.0), seed(number))
            assert float(kept) == 1
            assert np.array_equal(changed, clips)
            # A box as large as the frame, with its centre anywhere: a quarter at least.
            changed, kept = cutmix(clips, tf.constant(0.0), seed(number))
            assert 0 <= float(kept) <= 0.75

    def test_cutmix_boxes_reach_every_pixel(self, clips):
        run = tf.function(lambda at: cutmix(clips, tf.constant(0.9), at)[0])
        replaced = sum(
            (run(seed(number)).numpy() != clips.numpy()).any((0, 1, 4)) for number in range(300)
        )
        assert (replaced > 0).all()

    @pytest.mark.parametrize(
        "alpha", [0.1, *(pytest.param(alpha, marks=pytest.mark.slow) for alpha in (0.8, 1.0, 10.0))]
    )
    def test_beta_has_its_mean_and_variance(self, alpha):
        run = tf.function(lambda at: beta(alpha, at))
        drawn = np.array([run(seed(number)).numpy() for number in range(1500)])
        variance = 1 / (4 * (2 * alpha + 1))
        assert drawn.dtype == np.float32
        assert ((drawn >= 0) & (drawn <= 1)).all()
        assert drawn.mean() == pytest.approx(0.5, abs=4 * np.sqrt(variance / 1500))
        assert drawn.var() == pytest.approx(variance, rel=0.15)

    @pytest.mark.parametrize("alpha", [1e-4, 1e4])
    def test_beta_of_extreme_alphas_is_a_number(self, alpha):
        drawn = [float(beta(alpha, seed(number))) for number in range(40)]
        assert np.isfinite(drawn).all()
        if alpha < 1:
            assert {round(value) for value in drawn} == {0, 1}
            assert sum(min(value, 1 - value) for value in drawn) < 0.1
        else:
            assert drawn == pytest.approx([0.5] * 40, abs=0.03)
