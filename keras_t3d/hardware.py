"""The processors that a framework computes on, and GPUs that it leaves unused."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import warnings

from keras_t3d.errors import KerasT3DWarning

_NVIDIA_GPUS = pathlib.Path("/proc/driver/nvidia/gpus")
_PACKAGES = {"litert": "ai-edge-litert"}
_NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch", "litert": "LiteRT"}
_INSTALLATIONS = {
    "tensorflow": 'pip install "tensorflow[and-cuda]"',
    "jax": 'pip install "jax[cuda13]", or cuda12 for older drivers',
    "torch": "install PyTorch for CUDA, see https://pytorch.org/get-started",
}
_SECONDS = 10  # that nvidia-smi may take


class UnusedGPUWarning(KerasT3DWarning):
    """The machine has a GPU that the framework does not use."""


def describe_processors(framework: str) -> str:
    """Returns what a framework computes on, such as `TensorFlow 2.21.0 on the CPU, 2 cores`.

    The framework is imported. It is named as Keras names backends, or as its package.

    Warns:
        UnusedGPUWarning: if the machine has an NVIDIA GPU, and the framework lists none. Not if
            CUDA_VISIBLE_DEVICES or JAX_PLATFORMS hide it, nor for those that use none.

    Example:

    ```python
    describe_processors("litert")  # "LiteRT 2.1.0 on the CPU, 2 cores"
    ```
    """
    version = importlib.metadata.version(_PACKAGES.get(framework, framework))
    used = _used_gpus(framework)
    if not used and framework in _INSTALLATIONS and not _are_hidden():
        _warn_of_unused(framework)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    where = f"{len(used)} GPU: {', '.join(used)}" if used else f"the CPU, {cores} cores"
    return f"{_NAMES.get(framework, framework)} {version} on {where}"


def _used_gpus(framework: str) -> list[str]:
    """Returns the names of the GPUs (or other accelerators) that a framework lists."""
    if framework == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return [one.get("device_name", "GPU") for one in details]
    if framework == "jax":
        import jax

        return [device.device_kind for device in jax.devices() if device.platform != "cpu"]
    if framework == "torch":
        import torch

        return [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    return []


def _are_hidden() -> bool:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible in ("", "-1") or os.environ.get("JAX_PLATFORMS") == "cpu"


def _warn_of_unused(framework: str) -> None:
    gpus = _nvidia_gpus()
    if gpus:
        text = (
            f"the machine has an NVIDIA GPU ({gpus[0]}), but {_NAMES[framework]} finds none and "
            f"computes on the CPU: {_INSTALLATIONS[framework]} (docs/gpu.md). "
            "CUDA_VISIBLE_DEVICES=-1 hides the GPU and this warning"
        )
        warnings.warn(text, UnusedGPUWarning, stacklevel=3)


def _nvidia_gpus() -> list[str]:
    """Returns the NVIDIA GPUs of the machine, by the driver, or by its program where that lists
    none, as under WSL."""
    if _NVIDIA_GPUS.is_dir():
        found = [_model(folder / "information") for folder in sorted(_NVIDIA_GPUS.iterdir())]
        if found:
            return found
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        done = subprocess.run(
            [program, "--list-gpus"], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = done.stdout.splitlines() if done.returncode == 0 else []
    return [line.partition(":")[2].partition("(UUID")[0].strip() for line in lines if ":" in line]


def _model(information: pathlib.Path) -> str:
    try:
        lines = information.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown model"
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return models[0] if models else "unknown model"
