"""What a framework computes on, and warnings of GPUs that it leaves unused."""

import os
import warnings

import pytest
import tensorflow as tf

from keras_t3d import hardware
from keras_t3d.hardware import UnusedGPUWarning, describe_processors


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine without GPUs, whose driver folder and PATH are `gpus` and `bin`."""
    monkeypatch.setattr(hardware, "_NVIDIA_GPUS", tmp_path / "gpus")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    return tmp_path


def add_to_driver(machine, model="NVIDIA H200"):
    folder = machine / "gpus" / "0000:01:00.0"
    folder.mkdir(parents=True)
    (folder / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 1\n")


def test_the_cpu_is_named_without_a_warning(machine):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = describe_processors("tensorflow")
        assert describe_processors("litert").startswith("LiteRT ")
    assert text == f"TensorFlow {tf.__version__} on the CPU, 2 cores"


def test_a_gpu_that_the_framework_does_not_list(machine):
    add_to_driver(machine)
    with pytest.warns(UnusedGPUWarning, match=r"NVIDIA H200.*tensorflow\[and-cuda\]"):
        assert "on the CPU" in describe_processors("tensorflow")


def test_a_gpu_that_only_nvidia_smi_lists(machine):
    program = machine / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA A10 (UUID: GPU-1)'\n")
    program.chmod(0o755)
    with pytest.warns(UnusedGPUWarning, match=r"\(NVIDIA A10\)"):
        describe_processors("tensorflow")
    program.write_text("#!/bin/sh\nexit 9\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        describe_processors("tensorflow")


@pytest.mark.parametrize(
    "variable", [("CUDA_VISIBLE_DEVICES", ""), ("CUDA_VISIBLE_DEVICES", "-1")], ids=str
)
def test_a_hidden_gpu_is_meant_to_be_unused(machine, monkeypatch, variable):
    add_to_driver(machine)
    monkeypatch.setenv(*variable)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        describe_processors("tensorflow")


def test_litert_has_no_use_for_a_gpu(machine):
    add_to_driver(machine)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        describe_processors("litert")


def test_gpus_are_named(machine, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a", "b"])
    details = {"a": {"device_name": "NVIDIA H200"}, "b": {}}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details.get)
    text = describe_processors("tensorflow")
    assert text == f"TensorFlow {tf.__version__} on 2 GPU: NVIDIA H200, GPU"
