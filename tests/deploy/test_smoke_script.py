"""export/smoke_tf_serving.sh, as far as it runs without TF Serving."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.conftest import NEEDS_SERVE

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = ROOT / "export" / "smoke_tf_serving.sh"
BASH = shutil.which("bash")

pytestmark = [pytest.mark.export, pytest.mark.skipif(BASH is None, reason="needs the command bash")]


def run(*words, path, **environment):
    return subprocess.run(
        [BASH, str(SCRIPT), *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": str(path), **environment},
    )


def program(folder, name, script):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!{BASH}\n{script}\n")
    (folder / name).chmod(0o755)


def test_missing_server_is_reported(tmp_path):
    done = run(path=tmp_path)
    assert done.returncode == 3
    assert "neither tensorflow_model_server on the PATH nor a Docker" in done.stderr
    assert "nothing was tested" in done.stderr
    assert done.stdout == ""


def test_docker_without_daemon_is_ignored(tmp_path):
    program(tmp_path, "docker", "exit 1")
    assert run(path=tmp_path).returncode == 3


def test_wrong_arguments(tmp_path):
    done = run("model.keras", path=tmp_path)
    assert done.returncode == 2
    assert "MODEL.keras VIDEO. Received: model.keras" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("what_it_serves", ["$path", "$other"])
def test_with_our_server(tmp_path, model, what_it_serves):
    """One that serves the export, and one that serves another model, which must be noticed."""
    pytest.importorskip("starlette", reason=NEEDS_SERVE)
    from keras_t3d.deploy import export_saved_model
    from tests.deploy.networks import clips_for, randomize, small_network

    other = tmp_path / "t3d"
    if what_it_serves == "$other":
        export_saved_model(randomize(small_network(list("abcdef")), 5), other, clips_for(model, 1))
    script = f"""
for word in "$@"; do
  case $word in
    --port=*) grpc=${{word#*=}} ;;
    --rest_api_port=*) rest=${{word#*=}} ;;
    --model_base_path=*) path=${{word#*=}} ;;
  esac
done
other={other}
cd {ROOT}
serve="{sys.executable} -m keras_t3d.cli serve"
exec $serve "{what_it_serves}" --rest-port "$rest" --grpc-port "$grpc"
"""
    program(tmp_path / "bin", "tensorflow_model_server", script)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = run(path=path, PYTHON=sys.executable)
    if what_it_serves == "$path":
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1].endswith("REST and gRPC answer as Keras does")
    else:
        assert done.returncode == 1
        assert "the predictions of the served model differ" in done.stderr
