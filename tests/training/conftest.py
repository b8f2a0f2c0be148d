import shutil

import pytest

from tests.training.tiny import save_teacher, write_config, write_pretraining


@pytest.fixture
def config_file(shards, tmp_path):
    return write_config(tmp_path / "tiny.yaml", shards)


@pytest.fixture(scope="session")
def teacher_path(tmp_path_factory):
    return save_teacher(tmp_path_factory.mktemp("teacher") / "stills.keras")


@pytest.fixture
def pretraining_file(shards, teacher_path, tmp_path):
    # A copy, as cached features are written beside the shards.
    copy = shutil.copytree(shards, tmp_path / "shards_with_features")
    return write_pretraining(tmp_path / "pretraining.yaml", copy, teacher_path)
