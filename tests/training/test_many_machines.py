"""Two processes on this machine train as one, and again after one was killed."""

import json
import shutil
import signal
import socket

import numpy as np
import pytest

from keras_t3d.training.checkpoints import checkpoint_paths
from keras_t3d.training.devices import find_devices
from keras_t3d.training.run_directory import read_history
from tests import forked
from tests.training.test_resume import wait_for
from tests.training.tiny import write_config

# One step of a batch norm over both; clipping, average and statistics over both.
FLAGS = [
    "--data.batch_size=4",
    "--model.synchronized_bn=true",
    "--optimizer.global_clipnorm=0.5",
    "--optimizer.ema=0.9",
    "--precise_bn_batches=2",
    "--checkpoints.every_steps=2",
    "--epochs=3",
]


# With features that one machine writes and both read, in parts that are put together again.
PRETRAINING = [
    "--objective.kind=contrast",
    "--optimizer.accumulation=2",
    "--data.batch_size=4",
    "--model.synchronized_bn=true",
    "--cache-features",
    "--epochs=3",
]


def start(words, run, index=None, ports=()):
    environment = {}
    if index is not None:
        workers = [f"127.0.0.1:{port}" for port in ports]
        task = {"type": "worker", "index": index}
        environment["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})
    return forked.start(["-m", "keras_t3d.cli", *words, "--run-dir", run], env=environment)


def start_both(words, run, other_run=None):
    sockets = [socket.socket() for _ in range(2)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    runs = (run, other_run or run)
    return [start(words, runs[index], index, ports) for index in range(2)]


def finish(processes):
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-3000:]


def training(config):
    return ["train", "--config", str(config), *FLAGS]


def assert_same(run, expected, figures=("cross_entropy", "top1")):
    def state(folder):
        path = checkpoint_paths(folder)[-1]
        assert path.name == "step-00000015.npz"
        with np.load(path) as content:
            # The metrics' variables are each machine's share of a sum.
            return {n: content[n] for n in content.files if n.startswith(("network", "optimizer"))}

    mine, theirs = state(run), state(expected)
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_allclose(mine[name], value, rtol=1e-3, atol=1e-4, err_msg=name)
    for a, b in zip(read_history(run), read_history(expected), strict=True):
        for key in (*figures, *(f"val_{figure}" for figure in figures)):
            assert a[key] == pytest.approx(b[key], rel=1e-4), key


@pytest.fixture(scope="module")
def trained_by_one(shards, tmp_path_factory):
    """The command of a run, and the folder where one machine has finished it."""
    folder = tmp_path_factory.mktemp("machines")
    words = training(write_config(folder / "c.yaml", shards))
    finish([start(words, folder / "one")])
    return words, folder / "one"


@pytest.mark.slow  # the next test trains the same run, with a kill in its midst
def test_two_machines_train_as_one(trained_by_one, tmp_path):
    words, one = trained_by_one
    finish(start_both(words, tmp_path / "two"))
    assert_same(tmp_path / "two", one)


@pytest.mark.process
def test_two_machines_train_as_one_after_a_kill(trained_by_one, tmp_path):
    words, one = trained_by_one
    run = tmp_path / "killed"
    processes = start_both(words, run)
    wait_for(lambda: len(checkpoint_paths(run)) >= 2, processes[0])
    processes[1].send_signal(signal.SIGKILL)
    processes[1].communicate()
    _, errors = processes[0].communicate(timeout=300)
    if processes[0].returncode:  # it may just have finished
        assert "another of the 2 machines" in errors, errors[-3000:]
    finish(start_both(words, run))
    assert_same(run, one)


@pytest.mark.process
def test_two_machines_pretrain_as_one(pretraining_file, tmp_path):
    """Clips of one machine are compared with those of the other."""
    words = ["pretrain", "--config", str(pretraining_file), *PRETRAINING]
    finish([start(words, tmp_path / "one")])
    finish(start_both(words, tmp_path / "two"))
    assert_same(tmp_path / "two", tmp_path / "one", ("transfer_loss", "retrieval"))


@pytest.mark.process
def test_machines_that_see_different_folders_are_refused(trained_by_one, tmp_path):
    words, one = trained_by_one
    shutil.copytree(one, tmp_path / "a")
    newest = checkpoint_paths(tmp_path / "a")[-1]
    newest.unlink()  # it has not finished
    processes = start_both(words, tmp_path / "a", tmp_path / "b")
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 1
        assert "steps [14, 0]" in errors


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"cluster": {"worker": ["a:1", "b:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_a_malformed_tf_config_is_refused(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG"):
        find_devices()
