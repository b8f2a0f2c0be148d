"""Videos that crash or hang their decoder; a stand-in for the decoder does so by their names."""

import subprocess
import sys
import threading
import time

import pytest

from keras_t3d.data.conversion import isolated_decoder
from keras_t3d.data.conversion.errors import ConversionError
from keras_t3d.data.conversion.isolated_decoder import IsolatedDecoder
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.conversion.video_records import Outcome
from keras_t3d.data.shards.record_file import record_offsets
from keras_t3d.data.sources.listing import VideoEntry
from tests.conftest import counting_frames, write_video

pytestmark = pytest.mark.process

POISONED_WORKER = """
import errno, os, pathlib, time
from keras_t3d.data.conversion import worker

def write_video_records(entry, *rest):
    if "crash" in entry.video_id:
        os.abort()
    if "once" in entry.video_id and not os.path.exists(entry.path + ".seen"):
        pathlib.Path(entry.path + ".seen").touch()
        os.kill(os.getpid(), 9)
    if "hang" in entry.video_id:
        time.sleep(60)
    if "slow" in entry.video_id:
        for _ in range(4):
            time.sleep(0.6)
            rest[-1]()
    if "full" in entry.video_id:
        raise OSError(errno.ENOSPC, "No space left on device")
    if "chatty" in entry.video_id:
        print("a library's warning")
    return original(entry, *rest)

original = worker.write_video_records
worker.write_video_records = write_video_records
worker.main()
"""


@pytest.fixture
def decoder(monkeypatch):
    def started():
        return subprocess.Popen(
            [sys.executable, "-c", POISONED_WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="ascii",
        )

    monkeypatch.setattr(isolated_decoder, "_start_process", started)
    decoder = IsolatedDecoder(time_limit=15.0)
    yield decoder
    decoder.stop()


def write(decoder, folder, name):
    path = write_video(folder / name, counting_frames(5))
    entry = VideoEntry(name, str(path), "a", "train")
    return decoder.write_records(entry, 0, ConversionOptions(), folder / f"{name}.tfrecord")


def test_a_crash_rejects_the_video_only(decoder, tmp_path):
    assert write(decoder, tmp_path, "crash.mp4") == Outcome(reason="The decoder crashed (signal 6)")
    assert write(decoder, tmp_path, "good.mp4") == Outcome(records=1)
    assert not (tmp_path / "crash.mp4.tfrecord").exists()
    assert len(record_offsets(tmp_path / "good.mp4.tfrecord")) == 1


def test_a_decoder_that_was_killed_is_tried_again(decoder, tmp_path):
    assert write(decoder, tmp_path, "once.mp4") == Outcome(records=1)


def test_a_hang_rejects_the_video_only(decoder, tmp_path):
    assert write(decoder, tmp_path, "good.mp4").records == 1  # it has started by now
    decoder.time_limit = 1.0
    assert write(decoder, tmp_path, "hang.mp4").reason == "Decoding timed out: no frame for 1 s"
    decoder.time_limit = 15.0
    assert write(decoder, tmp_path, "good.mp4").records == 1


def test_a_slow_video_has_time_as_long_as_frames_come(decoder, tmp_path):
    assert write(decoder, tmp_path, "good.mp4").records == 1
    decoder.time_limit = 1.8
    assert write(decoder, tmp_path, "slow.mp4").records == 1  # takes longer than that


def test_a_full_disk_is_a_conversion_error(decoder, tmp_path):
    with pytest.raises(ConversionError, match=str(tmp_path)):
        write(decoder, tmp_path, "full.mp4")


def test_output_of_libraries_is_ignored(decoder, tmp_path):
    assert write(decoder, tmp_path, "chatty.mp4").records == 1


def test_a_header_is_read(decoder, tmp_path):
    path = write_video(tmp_path / "x.mp4", counting_frames(10, 32, 48))
    header = decoder.read_header(str(path))
    assert header == {"seconds": 0.4, "fps": 25.0, "height": 32, "width": 48}
    assert decoder.read_header(str(tmp_path / "none.mp4")) == {}


def test_a_stopped_decoder_decodes_no_more(decoder, tmp_path):
    decoder.stop()
    with pytest.raises(ConversionError, match="stopped"):
        write(decoder, tmp_path, "good.mp4")


def gone(process):
    """Whether a process has ended, was waited for, and its pipes are closed."""
    return process.returncode == -9 and process.stdin.closed and process.stdout.closed


def test_stopping_an_idle_decoder_leaves_neither_process_nor_pipes(decoder, tmp_path):
    write(decoder, tmp_path, "good.mp4")
    process = decoder._process
    assert process.poll() is None
    decoder.stop()
    assert gone(process)
    decoder.stop()  # again does no harm


def test_stopping_a_decoder_at_work_ends_its_video(decoder, tmp_path):
    write(decoder, tmp_path, "good.mp4")
    process, said = decoder._process, []

    def work():
        try:
            write(decoder, tmp_path, "hang.mp4")
        except ConversionError as error:
            said.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive() and not decoder._answering.locked():
        time.sleep(0.01)
    decoder.stop()
    assert gone(process)
    thread.join(30)
    assert said == ["The conversion was stopped"]


def test_a_process_that_is_just_starting_is_stopped_too(decoder, tmp_path, monkeypatch):
    original, processes = isolated_decoder._start_process, []
    stopper = threading.Thread(target=decoder.stop)

    def stopped_meanwhile():
        stopper.start()
        stopper.join(0.3)  # it may wait for the start, which is not to wait for it
        processes.append(original())
        return processes[-1]

    monkeypatch.setattr(isolated_decoder, "_start_process", stopped_meanwhile)
    with pytest.raises(ConversionError, match="stopped"):
        write(decoder, tmp_path, "good.mp4")
    stopper.join(30)
    assert len(processes) == 1
    assert gone(processes[0])


def test_the_worker_ends_with_its_parent(tmp_path):
    process = isolated_decoder._start_process()
    process.stdin.close()
    assert process.wait(timeout=30) == 0
    process.stdout.close()
