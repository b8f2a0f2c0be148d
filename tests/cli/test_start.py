"""What the command says before it imports TensorFlow."""

import subprocess
import sys

import pytest

CODE = """
import sys
from keras_t3d.cli import main

code = main(sys.argv[1:])
assert not {"tensorflow", "keras"} & sys.modules.keys()
sys.exit(code)
"""


@pytest.mark.process
@pytest.mark.parametrize(
    "words",
    [
        ["predict", "none.keras", __file__],
        ["evaluate", "none.tflite", "shards", "--out", "report"],
        ["export", "tflite", "none.keras", "out.tflite"],
    ],
    ids=lambda words: words[0],
)
def test_a_model_that_does_not_exist(words):
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "keras-t3d: error: No such model: " in done.stderr
    assert "Traceback" not in done.stderr
