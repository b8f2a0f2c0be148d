"""Options of Apache Beam on a command line."""

import pytest

from keras_t3d.cli import main
from keras_t3d.cli.beam import split_beam_options


def test_options_follow_two_dashes():
    words = ["predict", "--runner", "beam", "--", "--runner=FlinkRunner", "--parallelism=4"]
    assert split_beam_options(words) == (words[:3], words[4:])
    assert split_beam_options(["--runner=beam"]) == (["--runner=beam"], [])


def test_without_beam_they_are_words_of_the_command():
    words = ["predict", "model.keras", "--", "-odd.mp4"]
    assert split_beam_options(words) == (words, ())
    of_folder = ["predict", "model.keras", "beam", "--", "-odd.mp4"]
    assert split_beam_options(of_folder) == (of_folder, ())


@pytest.mark.parametrize("words", [["--", "--runner=FlinkRunner"], ["--videos-at", "gs://b"]])
def test_without_beam_they_are_refused(words, videos, tmp_path, capsys):
    assert main(["convert", str(videos), str(tmp_path / "out"), *words]) != 0
    assert capsys.readouterr().err.startswith("keras-t3d: error: ")
    assert not (tmp_path / "out").exists()
