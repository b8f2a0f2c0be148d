"""Two processes on this machine train as one, and notice that the other is lost."""

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
    "--checkpoints.keep=9",
    "--optimizer.warmup_epochs=0",
    "--epochs=1",
]

# With features that one machine writes and both read, in parts that are put together again.
PRETRAINING = [
    "--objective.kind=contrast",
    "--optimizer.accumulation=2",
    "--data.batch_size=4",
    "--model.synchronized_bn=true",
    "--cache-features",
    "--optimizer.warmup_epochs=0",
    "--epochs=1",
]

LOST = """
import os, signal
from keras_t3d.training.devices import check_same_step, explain_lost_machine, find_devices
devices = find_devices()
with explain_lost_machine(devices):
    for step in range(10):
        check_same_step(step, devices)
        if step == 2 and not devices.is_chief:
            os.kill(os.getpid(), signal.SIGKILL)
"""

CHIEF_FIRST = """
import pathlib, sys, time
from keras_t3d.training.devices import chief_first, find_devices
devices, file = find_devices(), pathlib.Path(sys.argv[1])
with chief_first(devices):
    if devices.is_chief:
        time.sleep(0.5)
        file.write_text("features")
    assert file.read_text() == "features"
"""


def command(words, run):
    return ["-m", "keras_t3d.cli", *words, "--run-dir", run]


def start_both(*commands):
    """Starts a process per command, each as one of as many machines."""
    sockets = [socket.socket() for _ in commands]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    workers = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    processes = []
    for index, words in enumerate(commands):
        machine = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        processes.append(forked.start(words, env={"TF_CONFIG": json.dumps(machine)}))
    return processes


def finish(processes):
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-3000:]


def training(config):
    return ["train", "--config", str(config), *FLAGS]


def assert_same(run, expected, figures=("cross_entropy", "top1")):
    def state(folder):
        path = checkpoint_paths(folder)[-1]
        assert path.name == "step-00000005.npz"
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
    forked.run(command(words, folder / "one"), check=True)
    return words, folder / "one"


def copied(run, folder, steps):
    """Copies a run as it was after so many steps."""
    copy = shutil.copytree(run, folder)
    for path in checkpoint_paths(copy):
        if int(path.stem[5:]) > steps:
            path.unlink()
    return copy


@pytest.mark.process
def test_two_machines_train_as_one(trained_by_one, tmp_path):
    """From the middle of an epoch on, where one machine left the run."""
    words, one = trained_by_one
    run = copied(one, tmp_path / "two", steps=2)
    finish(start_both(command(words, run), command(words, run)))
    assert len(json.loads((run / "environment.json").read_text())) == 2  # starts
    assert_same(run, one)


@pytest.mark.slow  # the tests beside it resume a run, and lose a machine
def test_two_machines_train_as_one_after_a_kill(trained_by_one, tmp_path):
    words, one = trained_by_one
    run = tmp_path / "killed"
    processes = start_both(command(words, run), command(words, run))
    wait_for(lambda: checkpoint_paths(run), processes[0])
    processes[1].send_signal(signal.SIGKILL)
    processes[1].communicate()
    _, errors = processes[0].communicate(timeout=300)
    if processes[0].returncode:  # it may just have finished
        assert "another of the 2 machines" in errors, errors[-3000:]
    finish(start_both(command(words, run), command(words, run)))
    assert_same(run, one)


@pytest.mark.process
def test_a_lost_machine_stops_the_others_with_an_error():
    chief, other = start_both(["-c", LOST], ["-c", LOST])
    _, errors = chief.communicate(timeout=300)
    assert other.wait() == -signal.SIGKILL
    assert chief.returncode == 1
    assert "another of the 2 machines" in errors, errors[-3000:]


@pytest.mark.process
def test_other_machines_find_the_files_of_the_first(tmp_path):
    program = ["-c", CHIEF_FIRST, tmp_path / "file"]
    finish(start_both(program, program))


@pytest.mark.slow  # the collective operations are those of training
def test_two_machines_pretrain_as_one(pretraining_file, tmp_path):
    """Clips of one machine are compared with those of the other."""
    words = ["pretrain", "--config", str(pretraining_file), *PRETRAINING]
    one, two = tmp_path / "one", tmp_path / "two"
    forked.run(command(words, one), check=True)
    finish(start_both(command(words, two), command(words, two)))
    assert_same(two, one, ("transfer_loss", "retrieval"))


@pytest.mark.process
def test_machines_that_see_different_folders_are_refused(trained_by_one, tmp_path):
    words, one = trained_by_one
    run = copied(one, tmp_path / "a", steps=4)
    for process in start_both(command(words, run), command(words, tmp_path / "b")):
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 1
        assert "steps [4, 0]" in errors


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
