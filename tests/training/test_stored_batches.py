"""Training from stored outputs of the frozen stages."""

import dataclasses
import itertools
import shutil

import keras
import numpy as np
import pytest

from keras_t3d.clips.padded_labels import LABELS, WEIGHTS
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.frozen_stages import split_after_frozen
from keras_t3d.training import run_directory, train
from keras_t3d.training.checkpoints import checkpoint_paths
from keras_t3d.training.clips import ClipBatches
from keras_t3d.training.network import new_network
from keras_t3d.training.run import prepare_run
from keras_t3d.training.stored_batches import StoredBatches
from keras_t3d.training.stored_features import StoredFeaturesError, new_features, open_features
from tests.training.tiny import read, write_config

FROZEN = [
    "--model.freeze",
    "[stem, block1]",
    "--optimizer.warmup_epochs=0",
    "--optimizer.schedule=constant",
]


@pytest.fixture(scope="module")
def config(shards, tmp_path_factory):
    return read(write_config(tmp_path_factory.mktemp("config") / "c.yaml", shards), *FROZEN)


def with_views(config, views, epochs):
    return dataclasses.replace(config, stored_views=views, epochs=epochs)


@pytest.fixture(scope="module")
def made(config, tmp_path_factory):
    """The stored batches of a network, those of clips, and its frozen stages."""
    config = with_views(config, 2, 3)
    setup = prepare_run(config, tmp_path_factory.mktemp("runs") / "run")
    network = new_network(config, setup.shards.class_names)
    beginning, _ = split_after_frozen(network)
    clips = ClipBatches(config, setup.shards, setup.devices)
    return StoredBatches(network, config, setup), clips, beginning, setup


class TestBatches:
    @pytest.mark.parametrize("backend", ["tensorflow", "jax"])
    def test_the_first_epochs_are_those_of_clips(self, made, backend, monkeypatch):
        stored, clips, beginning, setup = made
        monkeypatch.setattr(keras.backend, "backend", lambda: backend)
        count = 2 * setup.steps_per_epoch - 3
        pairs = zip(stored.training(3), clips.training(3), strict=False)
        for (features, labels), (frames, expected) in itertools.islice(pairs, count):
            np.testing.assert_array_equal(labels, expected)
            np.testing.assert_allclose(features, beginning(frames), rtol=1e-3, atol=1e-4)

    def test_later_epochs_read_every_video_in_a_new_order(self, made):
        stored, _, _, setup = made
        steps = setup.steps_per_epoch
        epochs = [
            [np.asarray(values) for values, _ in itertools.islice(stored.training(first), steps)]
            for first in (0, 2 * steps)
        ]
        first, third = (np.concatenate(epoch).reshape(steps * 5, -1) for epoch in epochs)
        assert not np.array_equal(first, third)
        np.testing.assert_array_equal(first[np.lexsort(first.T)], third[np.lexsort(third.T)])

    @pytest.mark.parametrize("backend", ["tensorflow", "jax"])
    def test_validation_is_that_of_clips(self, made, backend, monkeypatch):
        stored, clips, beginning, _ = made
        monkeypatch.setattr(keras.backend, "backend", lambda: backend)
        batches = stored.validation()
        ours = (
            list(batches)
            if backend == "tensorflow"
            else [batches[number] for number in range(batches.num_batches)]
        )
        for (features, labels), (frames, expected) in zip(ours, clips.validation(), strict=True):
            for key in (LABELS, WEIGHTS):
                np.testing.assert_array_equal(labels[key], expected[key])
            np.testing.assert_allclose(features, beginning(frames), rtol=1e-3, atol=1e-4)

    def test_statistics_are_of_clips(self, made):
        (clips,) = made[0].statistics(1)
        assert clips.shape[1:] == (4, 16, 16, 3)


@pytest.mark.fit
class TestRun:
    @pytest.fixture(scope="class")
    def folder(self, config, tmp_path_factory):
        folder = tmp_path_factory.mktemp("stored") / "run"
        train(with_views(config, 2, 3), folder)
        return folder

    def test_it_trains_what_training_from_clips_trains(self, config, folder, tmp_path):
        train(with_views(config, 0, 2), tmp_path / "run")
        expected = run_directory.read_history(tmp_path / "run")
        for stored, clips in zip(run_directory.read_history(folder)[:2], expected, strict=True):
            for name in ("cross_entropy", "val_cross_entropy", "learning_rate"):
                assert stored[name] == pytest.approx(clips[name], rel=0.01), name

    def test_the_files_go_and_the_models_are_whole(self, folder):
        assert not (folder / "stored_features").exists()
        last = keras.saving.load_model(folder / "last.keras")
        assert last.input_shape == (None, 4, 16, 16, 3)
        assert not last.get_layer("block1").trainable_variables

    def test_it_resumes_bit_for_bit(self, config, folder, tmp_path):
        config = with_views(config, 2, 3)
        copy = shutil.copytree(folder, tmp_path / "run")
        checkpoint_paths(copy)[-1].unlink()
        before = keras.saving.load_model(folder / "last.keras").get_weights()
        train(config, copy)
        after = keras.saving.load_model(copy / "last.keras").get_weights()
        for mine, theirs in zip(after, before, strict=True):
            np.testing.assert_array_equal(mine, theirs)


class TestRefusals:
    def test_without_frozen_stages(self, config, tmp_path):
        network = dataclasses.replace(config.model, freeze=("block1",))
        config = dataclasses.replace(with_views(config, 2, 3), model=network)
        with pytest.raises(InvalidArgumentError, match=r"`stored_views`.*`model.freeze`"):
            train(config, tmp_path / "run")

    def test_with_mixed_clips(self, config, tmp_path):
        mixed = dataclasses.replace(config.data.augmentation, mixup=0.5)
        data = dataclasses.replace(config.data, augmentation=mixed)
        config = dataclasses.replace(with_views(config, 2, 3), data=data)
        with pytest.raises(InvalidArgumentError, match=r"`stored_views`.*mixup"):
            train(config, tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_negative_numbers(self, config):
        with pytest.raises(InvalidArgumentError, match=r"`stored_views`.*-1"):
            with_views(config, -1, 3)


class TestFiles:
    def test_features_of_another_source_are_not_opened(self, tmp_path):
        with new_features(tmp_path, "train", {"seed": 1}, (2, 3, 4)) as features:
            features.values[:] = 1.5
            features.labels[:] = [2, 0, 1]
        stored = open_features(tmp_path, "train", {"seed": 1})
        assert stored.values.shape == (2, 3, 4)
        assert (np.asarray(stored.values) == 1.5).all()
        assert stored.labels.tolist() == [2, 0, 1]
        assert open_features(tmp_path, "train", {"seed": 2}) is None

    def test_features_that_were_not_finished_are_not_opened(self, tmp_path):
        with (
            pytest.raises(KeyboardInterrupt),
            new_features(tmp_path, "train", 1, (1, 1, 1)),
        ):
            raise KeyboardInterrupt
        assert open_features(tmp_path, "train", 1) is None

    def test_features_too_large_for_float16_are_refused(self, tmp_path):
        with (
            pytest.raises(StoredFeaturesError, match="video 1"),
            new_features(tmp_path, "train", 1, (1, 2, 1)) as features,
        ):
            features.values[0, 1] = np.float32(1e6)
        assert open_features(tmp_path, "train", 1) is None

    def test_a_full_disk_is_named_before_work(self, tmp_path, monkeypatch):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 0))
        with (
            pytest.raises(InvalidArgumentError, match="`stored_views`"),
            new_features(tmp_path, "train", 1, (1, 2, 1)),
        ):
            pass
