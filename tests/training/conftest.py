import pytest

from tests.training.tiny import write_config


@pytest.fixture
def config_file(shards, tmp_path):
    return write_config(tmp_path / "tiny.yaml", shards)
