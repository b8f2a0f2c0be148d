"""What is read of a record part by part is what is read of the whole."""

import os

import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keras_t3d.data.shards.errors import RecordError
from keras_t3d.data.shards.partial_record import open_video, take_frames
from keras_t3d.data.shards.record import INDEX, EncodedVideo, make_record, stored_video
from keras_t3d.data.shards.record_file import RecordWriter, framed

# Around the sizes at which the length of a field takes one byte more.
sizes = st.sampled_from([1, 117, 118, 119, 120, 121, 122, 126, 127, 128, 5000, 16370, 16384, 70000])


def written(path, *records):
    """Writes records after one of 3 bytes; returns the offset of the first of them."""
    with RecordWriter(path) as writer:
        writer.write(b"abc")
        for record in records:
            writer.write(record)
    return len(framed(b"abc"))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("records") / "x.tfrecord"


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(sizes, min_size=1, max_size=30), timed=st.booleans())
@example(sizes=[1] * 3000, timed=True)  # an index longer than what is read first
def test_any_frame_of_any_size(path, sizes, timed):
    frames = tuple(os.urandom(size) for size in sizes)
    times = tuple(range(0, 40_000 * len(sizes), 40_000)) if timed else ()
    record = make_record(EncodedVideo(frames, 4, 6, 25.0, times=times), "odd \udcff", "walk", 7)
    offset = written(path, record, record)
    found, whole = open_video(path, offset), stored_video(record)
    assert found.frames[-1] == frames[-1]
    assert tuple(found.frames) == frames
    assert tuple(found.times) == whole.times
    some = [0, *range(len(sizes) // 2, len(sizes)), 0]
    assert take_frames(found, some) == take_frames(whole, some) == [frames[n] for n in some]
    described = ("height", "width", "fps", "label_index", "label", "video_id")
    for name in described:
        assert getattr(found, name) == getattr(whole, name)


def test_records_of_others_have_no_index(path):
    record = make_record(EncodedVideo((b"one", b"two"), 4, 6, 25.0, times=(0, 9)), "a", "walk", 7)
    other = tf.train.SequenceExample.FromString(record)
    del other.context.feature[INDEX]
    offset = written(path, other.SerializeToString())
    assert open_video(path, offset) == stored_video(record)


def test_every_damaged_byte_is_found(path):
    """In the header and the context at once, elsewhere when a frame or the times are read."""
    record = make_record(EncodedVideo((b"one", b"two"), 4, 6, 25.0, times=(0, 9)), "a", "walk", 7)
    offset = written(path, record)
    content = path.read_bytes()
    # A length before a frame, or after the times, is not read: the index says it.
    read = {*range(offset, offset + 12)}
    for part in (b"one", b"two", b"image/timestamp"):
        begin = content.index(part)
        read |= {*range(begin, begin + len(part))}
    read |= {*range(content.index(b"clip/id"), content.index(b"video/fps") + 9)}
    for place in read:
        damaged = bytearray(content)
        damaged[place] ^= 0x11
        path.write_bytes(damaged)
        with pytest.raises(RecordError):
            video = open_video(path, offset)
            assert (*video.frames, *video.times) == (b"one", b"two", 0, 9)


def test_a_file_that_ends_in_a_frame(path):
    record = make_record(EncodedVideo((b"one", b"two"), 4, 6, 25.0), "a", "walk", 7)
    offset = written(path, record)
    path.write_bytes(path.read_bytes()[:-6])
    video = open_video(path, offset)
    assert video.frames[0] == b"one"
    with pytest.raises(RecordError, match="ends in its middle"):
        video.frames[1]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda context, frames: context["clip/label/index"].int64_list.value.__setitem__(0, 8), 8),
        (lambda context, frames: frames[1].bytes_list.value.__setitem__(0, b"longer"), b"longer"),
        (lambda context, frames: context[INDEX].bytes_list.value.append(b"x"), 7),
        (lambda context, frames: context[INDEX].int64_list.value.append(1), 7),
    ],
)
def test_what_another_program_changes_is_read(path, change, found):
    """The index is that of the record before; the record's own checksum is right."""
    record = make_record(EncodedVideo((b"one", b"two"), 4, 6, 25.0, times=(0, 9)), "a", "walk", 7)
    other = tf.train.SequenceExample.FromString(record)
    change(other.context.feature, other.feature_lists.feature_list["image/encoded"].feature)
    offset = written(path, other.SerializeToString(deterministic=True))
    video = open_video(path, offset)
    assert found in (video.label_index, *video.frames)
    assert list(video.times) == [0, 9]
