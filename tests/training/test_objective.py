import keras
import numpy as np
import pytest

from keras_t3d.data import ShardSet
from keras_t3d.optimization.stages import layers_by_stage
from keras_t3d.training.network import network_for
from keras_t3d.training.objective import highest_rate, new_loss, new_metrics, new_optimizer
from tests.training.tiny import read

NAMES = ("bright", "dark")
STEPS = 10


@pytest.fixture
def configured(config_file):
    """An optimizer by flags, with the network it is for."""

    def make(*flags):
        config = read(config_file, *flags)
        network = network_for(config.model, config.clip_spec, NAMES)
        return new_optimizer(config, network, STEPS), network

    return make


def rates(optimizer, steps):
    return [float(optimizer._learning_rate(step)) for step in steps]


class TestLearningRate:
    def test_steps_divide_after_whole_epochs(self, configured):
        flags = ["--optimizer.schedule=step", "--optimizer.step_epochs=[2,3]", "--epochs=4"]
        optimizer, _ = configured(*flags, "--optimizer.factor=0.5")
        assert rates(optimizer, [10, 19, 20, 29, 30, 39]) == pytest.approx(
            [0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125]
        )
        # One epoch of warm-up: 10 steps from 0.05 / 11 on.
        assert rates(optimizer, [0, 9]) == pytest.approx([0.05 / 11, 0.05 * 10 / 11])

    def test_cosine_ends_at_zero(self, configured):
        optimizer, _ = configured("--optimizer.warmup_epochs=0")
        assert rates(optimizer, [0, 15, 30]) == pytest.approx([0.05, 0.025, 0.0], abs=1e-8)

    def test_scales_with_the_batch_size(self, config_file):
        assert highest_rate(read(config_file)) == 0.05
        scaled = read(config_file, "--optimizer.base_batch_size=20", "--data.batch_size=5")
        assert highest_rate(scaled) == pytest.approx(0.0125)


class TestOptimizer:
    def test_options_of_sgd_and_of_others(self, configured):
        sgd, _ = configured("--optimizer.momentum=0.7")
        assert (type(sgd).__name__, sgd.momentum, sgd.nesterov) == ("SGD", 0.7, True)
        adamw, _ = configured(
            "--optimizer.name=adamw", "--optimizer.options={beta_2: 0.9}", "--optimizer.ema=0.99"
        )
        assert (adamw.beta_2, adamw.weight_decay, adamw.ema_momentum) == (0.9, 0.0, 0.99)

    def test_float16_uses_loss_scaling(self, configured):
        optimizer, _ = configured("--model.dtype=mixed_float16")
        assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)

    def test_stage_rates_and_decay_of_kernels_only(self, configured):
        optimizer, network = configured(
            "--optimizer.stage_rates={stem: 0.1, head: 10}",
            "--optimizer.decay_all=false",
            "--optimizer.weight_decay=0.1",
        )
        variables = network.trainable_variables
        optimizer.build(variables)
        stages = layers_by_stage(network)
        for index, variable in enumerate(variables):
            expected = 1.0
            for stage, factor in (("stem", 0.1), ("head", 10.0)):
                if any(variable is v for layer in stages[stage] for v in layer.variables):
                    expected = factor
            assert optimizer._factors[index] == expected
            assert optimizer._use_weight_decay(variable) == (len(variable.shape) > 1)
        assert {0.1, 1.0, 10.0} == set(optimizer._factors.values())

    def test_an_unknown_stage_or_optimizer_is_refused(self, configured):
        with pytest.raises(ValueError, match=r"`optimizer.stage_rates`.*stem, block1.*'stme'"):
            configured("--optimizer.stage_rates={stme: 0.1}")
        with pytest.raises(ValueError, match="'adma'"):
            configured("--optimizer.name=adma")


class TestNetwork:
    def test_frozen_stages_are_not_trainable(self, configured):
        _, network = configured("--model.freeze=[stem, block1]")
        frozen = {layer.name for layer in network.layers if not layer.trainable}
        assert frozen >= {"stem", "block1"}
        assert not any(v.path.startswith(("stem", "block1")) for v in network.trainable_variables)
        assert network.trainable_variables

    def test_wrong_stages_are_refused(self, configured):
        with pytest.raises(ValueError, match=r"`model.freeze`.*'block3'"):
            configured("--model.freeze=[block3]")
        every = "[stem, block1, head]"
        with pytest.raises(ValueError, match=r"`model.freeze`"):
            configured(f"--model.freeze={every}")


class TestLoss:
    @pytest.fixture(scope="class")
    def shard_set(self, shards):
        return ShardSet.open(shards)

    def test_balanced_weights_are_inverse_to_video_counts(
        self, config_file, shard_set, monkeypatch
    ):
        splits = {"train": {"per_class": {"bright": 30, "dark": 10}}}
        monkeypatch.setitem(shard_set.manifest, "splits", splits)
        loss = new_loss(read(config_file, "--loss.class_weights=balanced"), shard_set)
        np.testing.assert_allclose(loss.class_weights, [40 / 60, 40 / 20])
        splits["train"]["per_class"]["dark"] = 0
        loss = new_loss(read(config_file, "--loss.class_weights=balanced"), shard_set)
        np.testing.assert_allclose(loss.class_weights, [1.0, 0.0])

    def test_weights_by_name(self, config_file, shard_set):
        loss = new_loss(read(config_file, "--loss.class_weights={dark: 3}"), shard_set)
        assert loss.class_weights == [1.0, 3.0]
        with pytest.raises(ValueError, match=r"`loss.class_weights`.*\['drak'\]"):
            new_loss(read(config_file, "--loss.class_weights={drak: 3}"), shard_set)


def test_metrics_fit_the_labels(config_file):
    assert [m.name for m in new_metrics(read(config_file), 2)] == [
        "cross_entropy", "top1", "mean_class_accuracy",
    ]  # fmt: skip
    assert new_metrics(read(config_file), 6)[2].name == "top5"
    mixed = new_metrics(read(config_file, "--data.augmentation.mixup=0.2"), 2)
    assert isinstance(mixed[1], keras.metrics.CategoricalAccuracy)
