"""mypy finds errors in the use of every package, and of the scripts."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
# Per line, one error in the use of a package.
ERRORS = """\
ClipSpec(frames=3)
keras_t3d.clips.no_such_function()
keras_t3d.cli.no_such_function()
keras_t3d.data.convert(1, 2, nonsense=5)
keras_t3d.data.load_clips("shards", "train").no_such_method()
keras_t3d.deploy.export_tflite(1, nonsense=5)
keras_t3d.evaluation.score_videos(nonsense=5)
keras_t3d.inference.predict_video(nonsense=5)
keras_t3d.layers.no_such_layer()
keras_t3d.models.list_models(1, 2, 3, 4)
keras_t3d.motion_set.no_such_function()
keras_t3d.optimization.make_optimizer(nonsense=5)
keras_t3d.training.TrainConfig().no_such_field
keras_t3d.training.train.no_such_attribute()
keras_t3d.transfer.load_teacher(1, nonsense=5)
network_for(1, 2, 3, 4, nonsense=5)
prepare_run("x")
train.no_such_function()
saved_model.no_such_function()
"""
IMPORTS = """\
import keras_t3d
import keras_t3d.cli
import saved_model
import train
from keras_t3d import ClipSpec
from keras_t3d.training.network import network_for
from keras_t3d.training.run import prepare_run
"""


@pytest.mark.process
def test_mypy_finds_every_planted_error(tmp_path):
    scratch = tmp_path / "scratch.py"
    scratch.write_text(IMPORTS + ERRORS)
    command = [sys.executable, "-m", "mypy", f"--config-file={ROOT / 'pyproject.toml'}"]
    folders = [str(ROOT), str(ROOT / "training"), str(ROOT / "export")]
    done = subprocess.run(
        [*command, str(scratch)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"MYPYPATH": ":".join(folders), "PATH": "/usr/bin:/bin"},
    )
    lines = {int(number) for number in re.findall(r"scratch\.py:(\d+): error", done.stdout)}
    first = len(IMPORTS.splitlines()) + 1
    missed = [line for number, line in enumerate(ERRORS.splitlines(), first) if number not in lines]
    assert missed == [], done.stdout + done.stderr
