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
    return write_pretraining(tmp_path / "pretraining.yaml", shards, teacher_path)
