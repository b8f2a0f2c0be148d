"""Runs the Python examples of docstrings and of docs/ in a prepared folder.

An example runs with the names of its module, with `np`, `tf`, `keras`, `keras_t3d`, and with what
`Prepared` provides for names that it uses without defining them (`model`, `clips`, ...). Networks
with 121 or 101 layers, and clips of 16 x 112 x 112, are replaced by small ones.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import functools
import glob
import importlib
import io
import pathlib
import re
import shutil
import symtable
import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.conftest import counting_frames, write_video

pytestmark = [pytest.mark.fit, pytest.mark.export]

ROOT = pathlib.Path(__file__).parents[1]
_FENCE = re.compile(r"^( *)```python\n(.*?)^\1```", re.DOTALL | re.MULTILINE)

# Where examples find names that their module does not define.
PACKAGES = (
    *("clips", "data", "layers", "models", "optimization", "inference", "deploy", "evaluation"),
    *("transfer", "training", "motion_set", "streaming", "hub"),
)

# Examples with one of these texts are compiled only, for the reason beside it.
NOT_RUN = {
    "annotations=": "needs a published dataset",
    "k400/": "needs a published dataset",
    "s3://": "needs an object store",
    "_with_beam(": "needs Apache Beam, which starts a service",
    "localhost:": "needs TF Serving",
    "deploy.serve(": "serves until a signal",
    "push_to_hub(": "needs the Hugging Face Hub",
    "ModelServer(": "needs the packages of the extra serve",
    '"openvino/t3d"': "needs the packages of the extra openvino",
    '"t3d.onnx"': "needs the packages of the extra onnx",
    "Camera(": "needs a camera",
    "Screen(": "needs a display",
    "keras.applications.": "downloads weights",
    "load_teacher(": "downloads weights",
    "FrameFeatures.open(": "needs the features of a teacher",
    "-kinetics.pth": "needs a published checkpoint",
    "fetch(weights.file)": "downloads weights",
    'weights="kinetics400"': "downloads weights",
    "pretrain_t3d121": "trains for days",
    'train(config, "runs/motion")': "trains for minutes",
    "run_demo(": "runs in tests/test_demo.py",
}
# Examples that show an exception being raised.
RAISES = {"keras_t3d/errors.py:InvalidArgumentError"}


@dataclasses.dataclass(frozen=True)
class Example:
    """A Python block.

    Attributes:
        name: path of the file and name of the documented object, or number of the block.
        code: the block, dedented.
        module: dotted name of the documented module; None for a Markdown file.
    """

    name: str
    code: str
    module: str | None = None


def docstring_examples() -> Iterator[Example]:
    for path in sorted((ROOT / "keras_t3d").rglob("*.py")):
        relative = path.relative_to(ROOT)
        module = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        for owner, docstring in docstrings(ast.parse(path.read_text(encoding="utf-8"))):
            for _, code in _FENCE.findall(docstring):
                yield Example(f"{relative.as_posix()}:{owner}", textwrap.dedent(code), module)


def docstrings(tree: ast.AST, owner: str = "") -> Iterator[tuple[str, str]]:
    """Yields the qualified name and the docstring of everything documented in a file."""
    if isinstance(tree, ast.Module | ast.ClassDef | ast.FunctionDef) and (
        text := ast.get_docstring(tree)
    ):
        yield owner or "module", text
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield from docstrings(node, f"{owner}.{node.name}" if owner else node.name)


def page_examples() -> Iterator[Example]:
    for path in sorted((ROOT / "docs").rglob("*.md")):
        blocks = _FENCE.findall(path.read_text(encoding="utf-8"))
        for number, (_, code) in enumerate(blocks, start=1):
            yield Example(f"{path.relative_to(ROOT).as_posix()}:{number}", code)


EXAMPLES = [*docstring_examples(), *page_examples()]


def free_names(code: str) -> set[str]:
    """Returns the names that code reads and never defines."""
    table = symtable.symtable(code, "<example>", "exec")
    names: set[str] = set()
    tables = [table]
    while tables:
        scope = tables.pop()
        tables += scope.get_children()
        names |= {s.get_name() for s in scope.get_symbols() if s.is_referenced() and s.is_global()}
    tree = ast.parse(code)
    stored = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    loaded_first = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} & _reassigned(
        tree
    )
    module_names = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    imported = {s.get_name() for s in table.get_symbols() if s.is_imported()}
    defined = (stored - loaded_first) | imported
    return (names | module_names) - defined - set(dir(builtins))


def _reassigned(tree: ast.Module) -> set[str]:
    """Names that a statement both reads and writes, as `clip = distort(clip)` does."""
    found, defined = set(), set()
    for statement in tree.body:
        names = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
        stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        if isinstance(statement, ast.Assign):
            read = {node.id for node in names if isinstance(node.ctx, ast.Load)}
            found |= (read & stored) - defined
        defined |= stored
    return found


class Prepared:
    """Values for the names that examples use without defining them."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def model(self) -> Any:
        import keras

        copy = type(self._model).from_config(self._model.get_config())
        copy.set_weights(self._model.get_weights())
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        copy.compile("sgd", loss, run_eagerly=True)  # tracing takes longer than two steps
        return copy

    student = network = model

    def clip_spec(self) -> Any:
        return self._model.clip_spec

    spec = clip_spec

    def clips(self) -> np.ndarray:
        shape = (8, *self._model.clip_spec.input_shape)
        return np.random.default_rng(0).integers(0, 256, shape, np.uint8)

    def clip(self) -> np.ndarray:
        return self.clips()[0]

    def frame(self) -> np.ndarray:
        return self.clip()[0]

    def labels(self) -> np.ndarray:
        return np.arange(8) % 2

    def ranks(self) -> np.ndarray:
        return np.zeros(8, int)

    def names(self) -> list[str]:
        return list(self._model.class_names)

    def batches(self) -> list[np.ndarray]:
        return [self.clips()]

    def seed(self) -> Any:
        import tensorflow as tf

        return tf.constant([0, 1], tf.int64)

    def shards(self) -> Any:
        from keras_t3d.data import ShardSet

        return ShardSet.open("shards")

    def augmentation(self) -> Any:
        from keras_t3d.data import Augmentation

        return Augmentation(crop="corners")

    def teacher(self) -> Any:
        from keras_t3d.transfer import load_teacher
        from tests.training.tiny import save_teacher

        return load_teacher(save_teacher(pathlib.Path("stills.keras")), preprocessing="zero_one")

    def folder(self) -> Any:
        from keras_t3d.transfer import write_frame_features

        return write_frame_features(self.teacher(), "shards", "train", self.clip_spec())

    def predictor(self) -> Any:
        from keras_t3d.inference import load_predictor

        return load_predictor("model.keras")

    def scores(self) -> Any:
        from keras_t3d.evaluation.scores import score_videos

        return score_videos(self.predictor(), "shards", "test")

    def entries(self) -> Any:
        from keras_t3d.data.sources import SourceOptions, list_videos

        return list_videos("videos", SourceOptions(split_ratio="0.8")).entries

    def entry(self) -> Any:
        return self.entries()[0]

    def record(self) -> bytes:
        import tensorflow as tf

        return next(iter(tf.data.TFRecordDataset("train-0.tfrecord"))).numpy()

    def videos(self) -> list[str]:
        return [f"{number}.mp4" for number in range(8)]

    def workers(self) -> int:
        return 0

    def frames(self) -> np.ndarray:
        return self.clip()

    def file(self) -> Any:
        return io.BytesIO()

    def parser(self) -> Any:
        import jsonargparse

        return jsonargparse.ArgumentParser()

    def train(self) -> Any:
        from keras_t3d.data import load_clips

        return load_clips("shards", "train", self.clip_spec(), 4, training=True)

    def learner(self) -> Any:
        import keras

        from keras_t3d.optimization import Learner, make_optimizer

        learner = Learner(self.model())
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        learner.compile(make_optimizer("sgd", 0.01, use_ema=True), loss, run_eagerly=True)
        return learner


SMALL_CLIPS = {
    "16, 112, 112": "8, 32, 32",
    "num_frames=16, frame_stride=2, resize=128, crop=112": "num_frames=8, resize=36, crop=32",
}


def run_example(example: Example, prepared: Prepared) -> None:
    import ai_edge_litert.interpreter
    import keras
    import tensorflow as tf

    import keras_t3d

    names: dict[str, Any] = {
        **{"np": np, "tf": tf, "keras": keras, "keras_t3d": keras_t3d, "glob": glob.glob},
        **{"pathlib": pathlib, "__name__": "example", "ai_edge_litert": ai_edge_litert},
    }
    module = importlib.import_module(example.module) if example.module else None
    packages = [importlib.import_module(f"keras_t3d.{name}") for name in PACKAGES]
    for name in free_names(example.code) - names.keys():
        if hasattr(prepared, name):
            names[name] = getattr(prepared, name)()
        else:
            owners = [owner for owner in (module, *packages) if hasattr(owner, name)]
            if owners:
                names[name] = getattr(owners[0], name)
    if (example.module or "").startswith("keras_t3d.data.augmentation"):
        for name in {"clip", "clips", "labels"} & names.keys():
            names[name] = tf.constant(names[name])
    if (example.module or "") == "keras_t3d.training.tensorboard_log":
        names["names"] = prepared.videos()
    code = example.code
    for large, small in SMALL_CLIPS.items():
        code = code.replace(large, small)
    exec(compile(code, example.name, "exec"), names)


@pytest.fixture(scope="module")
def artifacts(model_path, lite_path, saved_model_path, tmp_path_factory):
    """A folder with every file that an example reads."""
    from keras_t3d.data import ConversionOptions, convert

    folder = tmp_path_factory.mktemp("examples")
    for name in ("model.keras", "best.keras", "runs/a/best.keras", "kinetics.keras"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(model_path, folder / name)
    shutil.copy(lite_path, folder / "t3d.tflite")
    shutil.copytree(saved_model_path, folder / "serving" / "t3d")
    (folder / "1" / "assets.extra").mkdir(parents=True)
    for name in ("clip.mp4", "film.mp4", "video.mp4", "films/a.mp4", "films/b.mp4"):
        write_video(folder / name, counting_frames(40))
    rows = ["path,label,split"]
    for label, base in (("bright", 100), ("dark", 0)):
        for number in range(20):
            frames = counting_frames(18) + np.uint8(base)
            name = f"{label}/{label}{number}_clip1.mp4"
            write_video(folder / "videos" / name, frames)
            rows.append(f"{name},{label},{'test' if number % 5 == 0 else 'train'}")
    manifest = folder / "videos" / "manifest.csv"
    manifest.write_text("\n".join(rows))
    csv = ConversionOptions(layout="csv", short_side=40, workers=1)
    convert(manifest, folder / "shards", csv)
    for name in ("sets/ucf101", "sets/mine"):
        shutil.copytree(folder / "shards", folder / name)
    unlabelled = ConversionOptions(layout="unlabelled", workers=1)
    convert(folder / "films", folder / "sets" / "unlabelled", unlabelled)
    for name in ("train-0", "train-1", "train-00000-of-00001", "test-0"):
        shutil.copy(next((folder / "shards").glob(f"{name[:4]}*")), folder / f"{name}.tfrecord")
    return folder


@pytest.fixture
def folder(artifacts, tmp_path, monkeypatch, request):
    """A copy of the prepared folder, as the working directory."""
    work = shutil.copytree(artifacts, tmp_path / "work")
    code = request.getfixturevalue("example").code
    if "convert(" in code and '"shards"' in code:
        shutil.rmtree(work / "shards")  # the example writes it
    elif "shards/" in code:
        shutil.copytree(work / "sets", work / "shards", dirs_exist_ok=True)
    monkeypatch.chdir(work)
    return work


SMALL = {
    "T3D121": {"block_layers": (1, 1), "growth_rate": 4, "stem_filters": 4},
    "DenseNet3D121": {"block_layers": (1, 1), "growth_rate": 4, "stem_filters": 4},
    "ResNet3D50": {"stage_blocks": (1,), "stage_filters": (4,), "stem_filters": 4},
    "STCResNeXt3D101": {
        **{"stage_blocks": (1,), "stage_filters": (8,), "stem_filters": 4, "groups": 2},
    },
}


def few_clips(batches):
    """Keeps four clips of each batch: a gradient of large ones takes seconds on some processors."""
    import keras

    def few(*batch):
        return keras.tree.map_structure(lambda values: values[:4], batch)

    return batches.map(few) if hasattr(batches, "map") else (few(*batch) for batch in batches)


@pytest.fixture
def small_networks(monkeypatch):
    """Makes networks small and training short, and keeps a registered network to the test."""
    import keras

    import keras_t3d
    from keras_t3d.models import registry

    fit = keras.Model.fit

    @functools.wraps(fit)
    def fit_shortly(self, batches, *args, **kwargs):
        if kwargs.get("steps_per_epoch"):
            kwargs["steps_per_epoch"] = min(kwargs["steps_per_epoch"], 2)
        self.run_eagerly = True  # tracing takes longer than two steps
        return fit(self, few_clips(batches), *args, **{**kwargs, "epochs": 1})

    monkeypatch.setattr(keras.Model, "fit", fit_shortly)
    monkeypatch.setattr(registry, "_CONFIGURATIONS", dict(registry.configurations()))
    for name, options in SMALL.items():
        network = getattr(keras_t3d.models, name)
        monkeypatch.setattr(keras_t3d.models, name, functools.partial(network, **options))


RUN = [example for example in EXAMPLES if not any(text in example.code for text in NOT_RUN)]


@pytest.mark.usefixtures("folder", "small_networks")
@pytest.mark.parametrize("example", [pytest.param(e, id=e.name) for e in RUN])
def test_the_example_runs(example, model):
    if example.name in RAISES:
        with pytest.raises(Exception, match="workers"):
            run_example(example, Prepared(model))
    else:
        run_example(example, Prepared(model))


def test_other_examples_are_python():
    for example in EXAMPLES:
        compile(example.code, example.name, "exec")
    for text in NOT_RUN:
        assert any(text in example.code for example in EXAMPLES), text
    assert {example.name for example in EXAMPLES} >= RAISES
