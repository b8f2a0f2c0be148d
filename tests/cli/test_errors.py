"""What the command prints when something fails."""

import sys
import warnings

import pytest

from keras_t3d import cli
from keras_t3d.cli import evaluate
from keras_t3d.errors import InvalidArgumentError, KerasT3DError, KerasT3DWarning

WORDS = ["evaluate", "m.keras", "shards", "--out", "report"]


@pytest.fixture
def fail(monkeypatch, capsys):
    """Runs a command that raises an error; returns the status and the lines of stderr."""

    def fail_with(error):
        def run(parser, words):
            raise error

        monkeypatch.setattr(evaluate, "run", run)
        code = cli.main(WORDS)
        return code, capsys.readouterr().err.splitlines()

    return fail_with


def test_errors_for_users_are_one_line(fail):
    assert fail(KerasT3DError("no")) == (1, ["keras-t3d: error: no"])


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("`batch_size` is wrong", "--batch-size is wrong"),
        ("`views` and `crops`", "--views and --crops"),
        ("`shards` is empty", "SHARDS is empty"),
        ("`something` is `else`", "`something` is `else`"),
    ],
)
def test_arguments_are_shown_as_flags(fail, message, line):
    _, lines = fail(InvalidArgumentError(message))
    assert lines == [f"keras-t3d: error: {line}"]


def test_each_warning_for_users_is_one_line(monkeypatch, capsys):
    def run(parser, words):
        for _ in range(2):
            warnings.warn("`batch_size` is large", KerasT3DWarning, stacklevel=1)

    monkeypatch.setattr(evaluate, "run", run)
    assert cli.main(WORDS) == 0
    assert capsys.readouterr().err == 2 * "keras-t3d: warning: --batch-size is large\n"


def test_keys_of_a_configuration_are_shown_as_flags(capsys, tmp_path):
    words = ["--run-dir", str(tmp_path / "run"), "--data.batch_size", "0"]
    assert cli.main(["train", "--config", "motion", *words]) == 1
    assert "--data.batch_size" in capsys.readouterr().err


def test_a_file_of_the_user_is_one_line(fail, tmp_path):
    error = FileNotFoundError(2, "No such file or directory", str(tmp_path / "x"))
    assert fail(error) == (1, [f"keras-t3d: error: No such file or directory: {tmp_path / 'x'}"])


def test_a_full_disk_is_one_line(fail):
    code, lines = fail(OSError(28, "No space left on device"))
    assert (code, len(lines)) == (1, 1)


@pytest.mark.parametrize(
    "error",
    [ValueError("wrong"), RuntimeError("wrong"), KeyError("wrong"), OSError("wrong"),
     FileNotFoundError(2, "wrong", cli.__file__)],
)  # fmt: skip
def test_other_errors_are_bugs_with_traceback_and_versions(fail, error):
    code, lines = fail(error)
    assert code == 1
    assert lines[0].startswith("Traceback")
    assert type(error).__name__ in lines[-2]
    assert "wrong" in lines[-2]
    for part in ("bug of keras_t3d", f"Python {sys.version_info.major}.", "report"):
        assert part in lines[-1]


def test_debugging_raises(fail, monkeypatch):
    monkeypatch.setenv("KERAS_T3D_DEBUG", "1")
    with pytest.raises(KerasT3DError):
        fail(KerasT3DError("no"))


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["convrt"],
        ["convert"],
        ["convert", "a", "b", "--short-side", "x"],
        ["convert", "a", "b", "--no-such-flag"],
        ["evaluate", "m", "s", "--out", "o", "--split", "dev"],
        ["export"],
        ["export", "coreml", "m", "o"],
        ["export", "tflite", "m.keras"],
        ["import-weights", "x.pth", "o.keras"],
    ],
)
def test_a_wrong_command_line_is_one_line(words, capsys):
    assert cli.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("keras-t3d: error: ")
