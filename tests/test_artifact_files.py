import pytest

from keras_t3d.artifact_files import RunDirectoryWarning, model_file
from keras_t3d.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("files", "taken"),
    [
        (["config.yaml", "best.keras", "last.keras"], "best.keras"),
        (["config.yaml", "student.keras"], "student.keras"),
        (["config.yaml", "last.keras"], "last.keras"),
    ],
)
def test_the_best_model_of_a_run_is_taken_with_a_warning(tmp_path, files, taken):
    for name in files:
        (tmp_path / name).touch()
    with pytest.warns(RunDirectoryWarning, match=taken):
        assert model_file(tmp_path) == str(tmp_path / taken)


@pytest.mark.parametrize("files", [["best.keras"], ["config.yaml"], ["saved_model.pb"]])
def test_other_folders_stay_as_they_are(tmp_path, files):
    for name in files:
        (tmp_path / name).touch()
    assert model_file(tmp_path) == str(tmp_path)


def test_a_run_without_a_model_yet_says_so(tmp_path):
    for name in ("config.yaml", "environment.json"):
        (tmp_path / name).touch()
    with pytest.raises(InvalidArgumentError, match=r"first epoch.*best\.keras"):
        model_file(tmp_path)
