"""A run that was killed resumes bit for bit."""

import csv
import re
import shutil
import signal
import time

import numpy as np
import pytest

from keras_t3d.training import train
from keras_t3d.training.checkpoints import CheckpointError, checkpoint_paths, newest_checkpoint
from tests import forked
from tests.training.tiny import read, write_config

pytestmark = pytest.mark.fit

# Everything with a state: momentum, average, random numbers of dropout.
FLAGS = [
    "--deterministic=true",
    "--checkpoints.every_steps=1",
    "--optimizer.ema=0.9",
    "--optimizer.schedule=plateau",
    "--optimizer.patience=1",
    "--optimizer.warmup_epochs=0",
    "--model.dropout=0.3",
]


def command(config, run):
    """Determinism is for a whole process, so each run has its own."""
    return ["-m", "keras_t3d.cli", "train", "--config", config, "--run-dir", run, *FLAGS]


def wait_for(done, process):
    for _ in range(3000):
        if done():
            return
        assert process.poll() is None, "the run ended too early"
        time.sleep(0.02)
    raise TimeoutError


def state(run):
    path = checkpoint_paths(run)[-1]
    assert path.name == "step-00000012.npz"
    with np.load(path) as content:
        return {name: content[name] for name in content.files if name != "state"}


def metrics(run):
    """The history without the columns that depend on the time."""
    with (run / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "clips_per_second", "data_wait")}
        for row in rows
    ]


@pytest.fixture(scope="module")
def whole(shards, tmp_path_factory):
    """Three epochs of four steps without a stop."""
    folder = tmp_path_factory.mktemp("whole")
    config = write_config(folder / "c.yaml", shards)
    forked.run(command(config, folder / "run"), check=True)
    return config, folder / "run"


@pytest.mark.process
def test_a_resumed_run_is_the_same_bit_for_bit(whole, tmp_path):
    """From the middle of an epoch on; the machine left half of the newest checkpoint."""
    config, expected = whole
    run = shutil.copytree(expected, tmp_path / "run")
    (run / "last.keras").unlink()
    *_, newest, last = checkpoint_paths(run)
    last.unlink()
    newest.write_bytes(newest.read_bytes()[:5000])
    output = forked.run(command(config, run), check=True).stdout
    assert f"{newest} is damaged" in output
    assert "Resuming after epoch 2 of 3, step 2 of 4" in output
    assert_same_run(run, expected)


@pytest.mark.slow  # the test above resumes the same run
@pytest.mark.parametrize("step", [2, 7])
def test_a_killed_and_resumed_run_is_the_same_bit_for_bit(whole, tmp_path, step):
    config, expected = whole
    run = tmp_path / "run"
    process = forked.start(command(config, run))
    wait_for(lambda: any(int(p.stem[5:]) >= step for p in checkpoint_paths(run)), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert "Resuming after epoch" in forked.run(command(config, run), check=True).stdout
    assert_same_run(run, expected)


def assert_same_run(run, expected):
    before, after = state(expected), state(run)
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value, err_msg=name)
    assert metrics(run) == metrics(expected)
    for network in ("best.keras", "last.keras"):
        assert_same_network(run / network, expected / network)


def assert_same_network(first, second):
    import keras

    a, b = (keras.saving.load_model(path).get_weights() for path in (first, second))
    for mine, theirs in zip(a, b, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.process
def test_keeps_the_newest_checkpoints(whole):
    names = [path.name for path in checkpoint_paths(whole[1])]
    assert names == [f"step-{step:08d}.npz" for step in (10, 11, 12)]


@pytest.mark.process
def test_the_learning_rate_follows_the_plateaus(whole):
    from keras_t3d.optimization import plateau_rate

    rows = metrics(whole[1])
    losses = [float(row["val_cross_entropy"]) for row in rows]
    # A row has the rate that its epoch was trained with.
    expected = [plateau_rate(losses[:n], 0.05, patience=1) for n in range(len(rows))]
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx(expected)


def test_a_run_with_only_damaged_checkpoints_raises(shards, tmp_path):
    config = read(write_config(tmp_path / "c.yaml", shards))
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yaml").write_text(config.to_yaml())
    (run / "checkpoints" / "step-00000004.npz").write_bytes(b"half")
    with pytest.raises(CheckpointError, match=re.escape(str(run))):
        train(config, run)


def test_no_checkpoint_is_none(tmp_path):
    assert newest_checkpoint(tmp_path) is None


def test_arrays_have_the_paths_of_the_variables(whole):
    names = state(whole[1])
    assert {"network/stem/conv/kernel", "optimizer/sgd/iteration", "metrics/top1/total"} <= set(
        names
    )
