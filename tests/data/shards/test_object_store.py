"""Shards in an S3 store, which moto plays; `make test-oldest` has what these tests need."""

import http.server
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from keras_t3d.data import ShardSet, load_clips

pytest.importorskip("moto.server", reason="needs moto[server]: make test-oldest")
pytest.importorskip("tensorflow_io", reason="needs tensorflow-io: make test-oldest")

# Each program reads the environment once, at its first request, so that each case has its own.
SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
READER = """
import sys
import numpy as np
from keras_t3d import ClipSpec
from keras_t3d.data import ShardSet, load_clips
shards = ShardSet.open(sys.argv[1])
spec = ClipSpec(num_frames=8, frame_stride=2, resize=36, crop=32)
batches = list(load_clips(shards, "test", spec, 3))
np.savez(sys.argv[2], *[part.numpy() for batch in batches for part in batch])
print(shards.num_videos("train"), shards.damaged_shards())
sys.exit(5)  # a status that tells a good end from an abort
"""
OPENER = "import sys; from keras_t3d.data import ShardSet; ShardSet.open(sys.argv[1])"


@pytest.fixture(scope="module")
def endpoint():
    """URL of a running S3 server."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    server.kill()
    server.communicate()


@pytest.fixture(scope="module")
def bucket(endpoint):
    import boto3

    store = boto3.resource(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    return store.create_bucket(Bucket="clips")


@pytest.fixture(scope="module")
def address(shards, bucket):
    for path in shards.iterdir():
        bucket.upload_file(str(path), f"sets/two/{path.name}")
    return "s3://clips/sets/two"


def run(program, *arguments, **variables):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_"))
    }
    credentials = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**environment, **credentials, "AWS_REGION": "us-east-1", **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def error_of(address, **variables):
    """The error that opening an address ends with."""
    done = run(OPENER, address, **variables)
    assert done.returncode == 1, done.stderr
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("variable", ["S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
def test_gives_the_bytes_of_the_folder(shards, address, endpoint, spec, tmp_path, variable):
    done = run(READER, address, tmp_path / "read.npz", **{variable: endpoint})
    assert (done.returncode, done.stdout) == (5, "20 []\n"), done.stderr
    with np.load(tmp_path / "read.npz") as file:
        read = list(file.values())
    local = [part.numpy() for batch in load_clips(shards, "test", spec, 3) for part in batch]
    assert len(local) == 6
    assert len(read) == len(local)
    assert all(np.array_equal(a, b) for a, b in zip(read, local, strict=True))


def test_a_file_of_whole_pieces_is_read_to_its_end(bucket, endpoint):
    """The store answers a request behind the end of a file with an error."""
    content = bytes(range(256)) * 2**13  # 2 MiB
    bucket.put_object(Key="whole", Body=content)
    bucket.put_object(Key="empty", Body=b"")
    program = (
        "import sys, hashlib; from keras_t3d.data.shards.object_store import Address; "
        "file, empty = (Address('s3://clips/' + name) for name in ('whole', 'empty')); "
        "print(file.size(), len(file.read_bytes()), empty.size(), empty.read_bytes())"
    )
    done = run(program, S3_ENDPOINT=endpoint)
    assert (done.returncode, done.stdout) == (0, "2097152 2097152 0 b''\n"), done.stderr


def test_a_missing_bucket_is_named(bucket, endpoint):
    error = error_of("s3://absent/two", S3_ENDPOINT=endpoint)
    assert error.startswith("ValueError: There is no bucket s3://absent/")
    assert endpoint in error


def test_a_folder_without_shards_says_how_to_make_them(bucket, endpoint):
    error = error_of("s3://clips/sets/three", S3_ENDPOINT=endpoint)
    assert "no manifest.json" in error
    assert "Received: s3://clips/sets/three" in error


def test_a_cut_and_a_missing_shard_are_named(shards, bucket, endpoint):
    victim = os.path.basename(ShardSet.open(shards).paths("train")[0])
    for path in shards.iterdir():
        content = path.read_bytes()
        body = content[:-10] if path.name == victim else content
        bucket.put_object(Key=f"cut/{path.name}", Body=body)
    error = error_of("s3://clips/cut", S3_ENDPOINT=endpoint)
    assert f"s3://clips/cut/{victim} has " in error
    bucket.Object(f"cut/{victim}").delete()
    error = error_of("s3://clips/cut", S3_ENDPOINT=endpoint)
    assert f"s3://clips/cut/{victim} is missing" in error


class Refusing(http.server.BaseHTTPRequestHandler):
    """A store that knows none of its clients."""

    def do_GET(self):
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *_):
        pass


class Silent(Refusing):
    """A store that takes requests and never answers."""

    def do_GET(self):
        self.server.closing.wait()

    def do_HEAD(self):
        self.do_GET()


@pytest.fixture
def store(request):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), request.param)
    server.closing = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.closing.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("store", [Refusing], indirect=True)
@pytest.mark.parametrize("credentials", ["key", ""])
def test_refused_or_missing_credentials_are_told(store, credentials):
    error = error_of(
        "s3://clips/two",
        S3_ENDPOINT=store,
        AWS_ACCESS_KEY_ID=credentials,
        AWS_SECRET_ACCESS_KEY=credentials,
        AWS_EC2_METADATA_DISABLED="true",
    )
    assert error.startswith("ValueError: s3://clips/two/manifest.json cannot be read: ")
    assert "PermissionDenied" in error
    assert "credentials" in error


@pytest.mark.parametrize("store", [Silent], indirect=True)
def test_a_silent_store_is_given_up(store):
    error = error_of(
        "s3://clips/two", S3_ENDPOINT=store, S3_REQUEST_TIMEOUT_MSEC="1000", AWS_MAX_ATTEMPTS="2"
    )
    assert "cannot be read: Unknown: curlCode: 28, Timeout was reached" in error


def test_a_store_that_is_down_is_told():
    error = error_of("s3://clips/two", S3_ENDPOINT="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="2")
    assert "Couldn't connect to server (S3_ENDPOINT=http://127.0.0.1:9)" in error
