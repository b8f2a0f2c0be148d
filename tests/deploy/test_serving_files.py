"""The configuration files of docs/serving/ are valid for TF Serving and Docker."""

import pathlib
import re

import pytest
import yaml
from google.protobuf import text_format

from tests.conftest import NEEDS_SERVING_API

FOLDER = pathlib.Path(__file__).parents[2] / "docs" / "serving"


def test_compose_mounts_the_files_that_it_names():
    service = yaml.safe_load((FOLDER / "docker-compose.yml").read_text())["services"]["tf-serving"]
    mounted = dict(volume.split(":")[:2] for volume in service["volumes"])
    assert mounted == {"./models": "/models", ".": "/config"}
    named = [word.partition("=")[2] for word in service["command"] if "_file=" in word]
    assert len(named) == 2
    assert all(
        (FOLDER / pathlib.PurePosixPath(name).relative_to("/config")).is_file() for name in named
    )
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_model_config_parses():
    config = pytest.importorskip(
        "tensorflow_serving.config.model_server_config_pb2",
        reason=NEEDS_SERVING_API,
    )
    text = (FOLDER / "models.config").read_text()
    parsed = text_format.Parse(text, config.ModelServerConfig())
    (one,) = parsed.model_config_list.config
    assert (one.name, one.base_path) == ("t3d", "/models/t3d")
    assert one.model_version_policy.latest.num_versions == 1
    lines = text.splitlines()
    usual = next(i for i, line in enumerate(lines) if "latest" in line)
    lines[usual:] = [
        re.sub("# (model_version_policy|version_labels)", r"\1", s) for s in lines[usual + 1 :]
    ]
    (two,) = text_format.Parse(
        "\n".join(lines), config.ModelServerConfig()
    ).model_config_list.config
    assert list(two.model_version_policy.specific.versions) == [1, 2]
    assert two.version_labels == {"stable": 1, "canary": 2}


def test_metrics_path_matches_the_guide():
    text = (FOLDER / "monitoring.config").read_text()
    path = re.search(r'prometheus_config {\n  enable: true\n  path: "(.+)"\n}', text)[1]
    assert f"http://localhost:8501{path}" in (FOLDER.parent / "serving.md").read_text()


def test_batching_sets_what_tf_serving_knows():
    """Its message is in no package: the names are those of session_bundle_config.proto."""
    text = (FOLDER / "batching.config").read_text()
    names = re.findall(r"^(\w+) \{ value: \d+ \}", text, re.MULTILINE)
    assert names == [
        "max_batch_size",
        "batch_timeout_micros",
        "max_enqueued_batches",
        "num_batch_threads",
    ]
