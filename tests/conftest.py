"""Small videos, shards and models that the tests share, all generated here."""

from __future__ import annotations

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as keras_t3d, which is imported later
# Several processes share the cores: threads of a process would wait for each other, busily.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import pathlib
import tempfile
from collections.abc import Generator

import av
import numpy as np
import pytest

from tests import grappler
from tests.made_once import made_once

NEEDS_JAX = "needs JAX: make test EXTRAS=dev,backends"
NEEDS_TORCH = "needs PyTorch: make test EXTRAS=dev,backends"
NEEDS_SERVE = "needs the server's packages: make test EXTRAS=dev,serve"
NEEDS_SERVING_API = "needs tensorflow-serving-api: make test EXTRAS=dev,backends"

if "PYTEST_XDIST_WORKER" not in os.environ:
    # Killed processes leave temporary files, AutoGraph's for example. All processes of a run write
    # them to this folder, which the first one removes at its end; pytest's own folders stay.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    _TEMPORARY_FILES = tempfile.TemporaryDirectory(prefix="tests-", ignore_cleanup_errors=True)
    tempfile.tempdir = os.environ["TMPDIR"] = _TEMPORARY_FILES.name
    os.environ["TEST_RUN_PID"] = str(os.getpid())  # for the servers of tests/forked.py

ROOT = pathlib.Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"

COSTLY = ("process", "fit", "pipeline", "export", "backend")
LONGEST = (  # in descending order: a run in several processes ends late if one of these begins late
    "tests/models/test_battery.py",
    "tests/data/clips/test_tensorflow_form.py",
    "tests/training/test_train.py",
    "tests/training/test_pretrain.py",
    "tests/test_docstrings.py",
    "tests/backends/test_backends.py",
    "tests/test_readme.py",
    "tests/transfer/test_import_weights.py",
    "tests/deploy/test_quantization.py",
    "tests/training/test_many_machines.py",
    "tests/data/conversion/test_beam.py",
    "tests/optimization/test_learner.py",
    "tests/data/clips/test_unlabelled.py",
    "tests/models/test_inflation.py",
    "tests/training/test_resume.py",
)
OPTIMIZED = (  # what users run at length is tested as they run it
    "tests/deploy",
    "tests/inference",
    "tests/evaluation",
    "tests/test_demo.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts files that take long first: the others fill the end of a run in several processes."""
    places = {ROOT / name: place for place, name in enumerate(LONGEST)}
    costly = {item.path for item in items if any(map(item.get_closest_marker, COSTLY))}
    items.sort(key=lambda item: (places.get(item.path, len(places)), item.path not in costly))


def pytest_collection_finish() -> None:
    _leave_living_objects_out_of_collections()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    result = yield
    if nextitem is not None and nextitem.path != item.path:
        _leave_living_objects_out_of_collections()
    return result


def _leave_living_objects_out_of_collections() -> None:
    """Saves a fifth of the time: Python would look through all modules and graphs each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _grappler(request: pytest.FixtureRequest) -> None:
    is_optimized = any(request.path.is_relative_to(ROOT / name) for name in OPTIMIZED)
    grappler.turn("on" if is_optimized else "off")


@pytest.fixture
def zeros_for_initial_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of 100 million weights is built in no time if they need not be drawn."""
    import keras

    monkeypatch.setattr(
        keras.initializers.VarianceScaling,
        "__call__",
        lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype),
    )


def write_video(
    path: pathlib.Path, frames: np.ndarray, fps: int = 25, codec: str = "libx264"
) -> pathlib.Path:
    """Writes uint8 frames (N, H, W, 3) as a video of high quality; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "10"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def counting_frames(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Returns frames whose brightness is 5 times their number: see `frame_numbers`."""
    levels = (5 * np.arange(count)).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def frame_numbers(frames: np.ndarray) -> list[int]:
    """Returns the numbers of frames that `counting_frames` made, from their brightness."""
    return np.round(frames.mean(axis=(1, 2, 3)) / 5).astype(int).tolist()


@pytest.fixture(scope="session")
def videos() -> pathlib.Path:
    """A folder `<split>/<class>/<video>`: two classes, 10 train and 4 test videos each."""
    return made_once("videos", _write_videos)


def _write_videos(root: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    for split, count in (("train", 10), ("test", 4)):
        for label, base in (("bright", 150), ("dark", 20)):
            for index in range(count):
                frames = rng.integers(base, base + 80, (12 + index, 48, 64, 3), dtype=np.uint8)
                write_video(root / split / label / f"{label}_{split}_{index}.mp4", frames)


@pytest.fixture(scope="session")
def shards(videos: pathlib.Path) -> pathlib.Path:
    """The same videos as shards of short side 40."""
    from keras_t3d.data import ConversionOptions, convert

    options = ConversionOptions(short_side=40, workers=1)
    return made_once("shards", lambda out: convert(videos, out, options))


@pytest.fixture(scope="session")
def spec():
    """A ClipSpec of 8 frames of 32 x 32."""
    from keras_t3d import ClipSpec

    return ClipSpec(num_frames=8, frame_stride=2, resize=36, crop=32)


@pytest.fixture(scope="session")
def model(spec):
    """A small T3D for `shards`, with random batch-norm statistics."""
    import keras

    import keras_t3d

    keras.utils.set_random_seed(0)
    network = keras_t3d.models.T3D(
        input_shape=spec.input_shape,
        num_classes=2,
        block_layers=(1, 1),
        growth_rate=4,
        stem_filters=8,
        transition_filters=4,
        clip_spec=spec,
        class_names=["bright", "dark"],
    )
    rng = np.random.default_rng(0)
    for variable in network.variables:
        if "moving_mean" in variable.path or "beta" in variable.path:
            variable.assign(rng.normal(0, 0.3, variable.shape))
        if "moving_variance" in variable.path or "gamma" in variable.path:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return network


@pytest.fixture(scope="session")
def model_path(model) -> pathlib.Path:
    """The same model as a .keras file."""
    return made_once("tiny.keras", model.save)


@pytest.fixture(scope="session")
def lite_path(model) -> pathlib.Path:
    """The same model as a .tflite file in float32."""
    from keras_t3d.deploy import export_tflite

    clips = np.random.default_rng(0).integers(0, 256, (1, *model.clip_spec.input_shape), np.uint8)
    return made_once("t3d.tflite", lambda path: export_tflite(model, path, calibration=clips))


@pytest.fixture(scope="session")
def saved_model_path(model) -> pathlib.Path:
    """The same model as a SavedModel: the folder of its version 1."""
    from keras_t3d.deploy import export_saved_model

    return made_once("t3d", lambda path: export_saved_model(model, path))


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory):
    """A file system of Beam's that knows addresses such as `box://shards`, and its `root`."""
    from tests.beam_bucket import file_system

    return file_system(tmp_path_factory.mktemp("box"))
