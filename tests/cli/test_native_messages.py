"""Standard error of native code without what means nothing, and Python's as it is."""

import os
import subprocess
import sys

import pytest

from keras_t3d.cli.native_messages import MEANINGLESS

pytestmark = pytest.mark.process

CODE = """
import os, sys
from keras_t3d.cli.native_messages import MEANINGLESS, without_meaningless_messages

with without_meaningless_messages():
    for text in (*MEANINGLESS, "a cause"):
        os.write(2, (text + " of native code\\n").encode())
    print("of Python", file=sys.stderr)
    if "crash" in sys.argv:
        os.abort()
os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate afterwards\\n")
print("at the end", file=sys.stderr)
"""


def lines_of(*words, **variables):
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        check=False,
    )
    return done.returncode, done.stderr.splitlines()


def test_known_lines_are_left_out():
    code, lines = lines_of()
    assert code == 0
    assert sorted(lines[:-2]) == ["a cause of native code", "of Python"]
    assert lines[-2:] == [f"{MEANINGLESS[0]} afterwards", "at the end"]


def test_a_crash_loses_no_line():
    code, lines = lines_of("crash")
    assert code < 0
    assert {"a cause of native code", "of Python"} <= set(lines)


def test_everything_is_shown_for_debugging():
    code, lines = lines_of(KERAS_T3D_DEBUG="1")
    assert code == 0
    assert len(lines) == len(MEANINGLESS) + 4
