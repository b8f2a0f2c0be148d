"""Published files, from a server on this machine."""

import hashlib
import socket
import threading

import pytest

from keras_t3d.weights.fetching import (
    FOLDER_VARIABLE,
    SERVER_VARIABLE,
    DownloadError,
    PublishedFile,
    cache_folder,
    fetch,
)
from tests import forked
from tests.weights.file_server import serving

CONTENT = bytes(range(256)) * 400
FILE = PublishedFile(
    "https://weights.invalid/models/net-0123.pth", hashlib.sha256(CONTENT).hexdigest()
)


@pytest.fixture
def server():
    with serving({FILE.name: CONTENT}) as server:
        yield server


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch, request):
    """An empty cache, no folder, and the server instead of the publisher's."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    if "server" in request.fixturenames:
        monkeypatch.setenv(SERVER_VARIABLE, request.getfixturevalue("server").url)


def cached():
    return sorted(path.name for path in cache_folder().glob("*"))


def failure():
    with pytest.raises(DownloadError) as error:
        fetch(FILE)
    assert cached() == []
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_file_is_downloaded_once(server, tmp_path):
    for _ in range(2):
        path = fetch(FILE)
        assert path == tmp_path / "keras" / "keras_t3d" / FILE.name
        assert path.read_bytes() == CONTENT
    assert server.requests == [FILE.name]
    assert cached() == [FILE.name]


def test_a_folder_is_enough_without_internet(tmp_path, monkeypatch):
    (tmp_path / FILE.name).write_bytes(CONTENT)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert fetch(FILE) == tmp_path / FILE.name
    assert cached() == []


def test_a_damaged_file_in_the_folder_is_refused_and_kept(server, tmp_path, monkeypatch):
    (tmp_path / FILE.name).write_bytes(CONTENT[:-1])
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    message = failure()
    assert str(tmp_path / FILE.name) in message
    assert FILE.sha256 in message
    assert (tmp_path / FILE.name).is_file()
    assert server.requests == []


def test_a_file_that_is_not_in_the_folder_is_downloaded(server, tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "none"))
    assert fetch(FILE).read_bytes() == CONTENT


def test_an_unreachable_server_is_named_with_the_way_without(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/models/"
    monkeypatch.setenv(SERVER_VARIABLE, url)
    message = failure()
    assert f"Cannot download {url}{FILE.name}. " in message
    assert f"put {FILE.name} into a folder" in message
    assert FOLDER_VARIABLE in message


def test_an_absent_file_is_named(server):
    server.files.clear()
    assert "404" in failure()


def test_a_server_that_does_not_answer_is_given_up(server, monkeypatch):
    server.together = threading.Barrier(2)
    monkeypatch.setattr("keras_t3d.weights.fetching.STALLED_SECONDS", 0.2)
    assert "timed out" in failure()
    assert socket.getdefaulttimeout() is None
    server.together.abort()


def test_a_download_that_breaks_off_leaves_nothing(server):
    server.cut = 1000
    assert f"{server.url}/{FILE.name}" in failure()
    server.cut = 0
    assert fetch(FILE).read_bytes() == CONTENT


def test_a_file_of_another_checksum_leaves_nothing(server):
    server.files[FILE.name] = CONTENT[:-1] + b"x"
    message = failure()
    assert f"{server.url}/{FILE.name} is damaged" in message
    assert FILE.sha256 in message
    server.files[FILE.name] = CONTENT
    assert fetch(FILE).read_bytes() == CONTENT


def test_what_a_killed_process_left_is_replaced(server):
    cache_folder().mkdir(parents=True)
    (cache_folder() / FILE.name).write_bytes(CONTENT[:100])
    (cache_folder() / f".part-1-{FILE.name}").write_bytes(CONTENT[:100])
    assert fetch(FILE).read_bytes() == CONTENT
    assert cached() == [FILE.name]


def test_a_cache_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "keras").write_text("a file")
    with pytest.raises(DownloadError, match="Cannot download"):
        fetch(FILE)


@pytest.mark.process
def test_two_processes_may_fetch_at_once(server):
    server.together = threading.Barrier(2)
    code = (
        "import sys\nfrom keras_t3d.weights.fetching import PublishedFile, fetch\n"
        "sys.exit(fetch(PublishedFile(*sys.argv[1:])).stat().st_size != 102400)"
    )
    words = ["-c", code, FILE.url, FILE.sha256]
    processes = [forked.start(words) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert server.requests == [FILE.name] * 2
    assert cached() == [FILE.name]
    assert fetch(FILE).read_bytes() == CONTENT
