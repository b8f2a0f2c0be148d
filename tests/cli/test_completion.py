"""The completion of bash and zsh, by running bash on what is printed."""

import shutil
import subprocess
import sys

import pytest

from keras_t3d import cli

pytest.importorskip("shtab", reason="needs shtab: make test EXTRAS=dev,completion")


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("completion") / "keras-t3d.bash"
    with path.open("w") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", file)
        assert cli.main(["completion", "bash"]) == 0
    return path


@pytest.mark.process
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_flags_choices_and_files(script, tmp_path):
    (tmp_path / "clip.mp4").touch()
    questions = {
        "pre": "pretrain predict",
        "evaluate --over": "--overwrite",
        "evaluate --split '' ": None,
        "export tflite --quant": "--quantization",
        "explain --method g": "grad_cam",
        "train --model.we": "--model.weights",
        "predict cl": "clip.mp4",
    }
    lines = [f"source {script}"]
    for words in questions:
        lines += [
            f"COMP_WORDS=(keras-t3d {words})",
            "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))",
            "COMPREPLY=()",
            "_shtab_keras_t3d",
            'echo "${COMPREPLY[@]}"',
        ]
    command = ["bash", "-c", "\n".join(lines)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    expected = [answer or "train val test" for answer in questions.values()]
    assert done.stdout.splitlines() == expected


def test_zsh_gets_a_script_with_every_command(capsys):
    assert cli.main(["completion", "zsh"]) == 0
    script = capsys.readouterr().out
    assert script.startswith("#compdef keras-t3d")
    for command in cli.COMMANDS:
        assert f"    {command}:" in script


def test_another_shell_is_refused(capsys):
    assert cli.main(["completion", "fish"]) == 2
    assert "fish" in capsys.readouterr().err


def test_shtab_that_is_not_installed(monkeypatch, capsys):
    monkeypatch.setattr("keras_t3d.cli.completion.shtab", None)
    assert cli.main(["completion", "bash"]) == 1
    assert 'pip install "keras-t3d[completion]"' in capsys.readouterr().err
