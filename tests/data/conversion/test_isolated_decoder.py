"""Videos that kill their decoder, and a full disk; a stand-in does so by the names of videos."""

import subprocess
import sys

import pytest

from keras_t3d.data.conversion.errors import ConversionError
from keras_t3d.data.conversion.isolated_decoder import IsolatedDecoder
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.conversion.video_records import Outcome
from keras_t3d.data.shards.record_file import record_offsets
from keras_t3d.data.sources.listing import VideoEntry
from keras_t3d.data.video import decoding_process
from keras_t3d.data.video.decoding_process import StoppedError
from tests.conftest import counting_frames, write_video

pytestmark = pytest.mark.process

POISONED_WORKER = """
import errno, os
from keras_t3d.data.conversion import worker

def write_video_records(entry, *rest):
    if "crash" in entry.video_id:
        os.abort()
    if "full" in entry.video_id:
        raise OSError(errno.ENOSPC, "No space left on device")
    return original(entry, *rest)

original = worker.write_video_records
worker.write_video_records = write_video_records
worker.main()
"""


@pytest.fixture
def decoder(monkeypatch):
    def started(module):
        assert module == "keras_t3d.data.conversion.worker"
        command = [sys.executable, "-c", POISONED_WORKER]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    monkeypatch.setattr(decoding_process, "_start_process", started)
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


def test_a_full_disk_is_a_conversion_error(decoder, tmp_path):
    with pytest.raises(ConversionError, match=str(tmp_path)):
        write(decoder, tmp_path, "full.mp4")


def test_a_header_is_read(decoder, tmp_path):
    path = write_video(tmp_path / "x.mp4", counting_frames(10, 32, 48))
    header = decoder.read_header(str(path))
    assert header == {"seconds": 0.4, "fps": 25.0, "height": 32, "width": 48}
    assert decoder.read_header(str(tmp_path / "none.mp4")) == {}


def test_a_stopped_decoder_decodes_no_more(decoder, tmp_path):
    decoder.stop()
    with pytest.raises(StoppedError):
        write(decoder, tmp_path, "good.mp4")


def test_the_worker_ends_with_its_parent():
    process = decoding_process._start_process("keras_t3d.data.conversion.worker")
    process.stdin.close()
    assert process.wait(timeout=30) == 0
    process.stdout.close()
