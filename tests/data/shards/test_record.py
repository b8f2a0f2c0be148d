"""Records are SequenceExamples; TensorFlow's own classes say what they hold."""

import io

import pytest
import tensorflow as tf
from PIL import Image

from keras_t3d.data.shards.errors import RecordError
from keras_t3d.data.shards.record import EncodedVideo, StoredVideo, make_record, stored_video
from keras_t3d.data.shards.record_tensors import parse_record


def jpeg(height=4, width=6):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_the_bytes_are_tensorflows():
    frames = (jpeg(), jpeg(4, 6) + b"\x00")
    record = make_record(EncodedVideo(frames, 4, 6, 29.97), "run/ü.mp4", "run fast", 300)
    example = tf.train.SequenceExample.FromString(record)
    assert example.SerializeToString(deterministic=True) == record
    context = example.context.feature
    assert context["clip/label/index"].int64_list.value == [300]
    assert context["clip/label/text"].bytes_list.value == [b"run fast"]
    assert context["clip/id"].bytes_list.value == ["run/ü.mp4".encode()]
    features = example.feature_lists.feature_list["image/encoded"].feature
    assert tuple(feature.bytes_list.value[0] for feature in features) == frames


def test_what_is_written_is_read():
    video = EncodedVideo((jpeg(), jpeg()), 4, 6, 25.0, times=(0, 70_000))
    record = make_record(video, "odd \udcff.mp4", "walk", 1)
    expected = StoredVideo(video.frames, 4, 6, 25.0, 1, "walk", "odd \udcff.mp4", times=(0, 70_000))
    assert stored_video(record) == expected
    features = tf.train.SequenceExample.FromString(record).feature_lists.feature_list
    stored = [f.int64_list.value[0] for f in features["image/timestamp"].feature]
    assert stored == [0, 70_000]


@pytest.mark.parametrize(
    ("fps", "times", "expected"),
    [
        (25.0, (0, 70_000), [0, 70_000]),
        (25.0, (), [0, 40_000]),  # as records were written before
        (25.0, (0,), [0, 40_000]),
        (0.0, (5, 9), [5, 9]),
        (0.0, (), []),
    ],
)
def test_times_that_a_record_lacks_follow_from_its_rate(fps, times, expected):
    record = make_record(EncodedVideo((jpeg(),) * 2, 4, 6, fps, times=times), "a", "walk", 1)
    assert list(stored_video(record).times) == expected
    assert parse_record(tf.constant(record))["image/timestamp"].numpy().tolist() == expected


def test_several_labels_are_refused():
    example = tf.train.SequenceExample.FromString(
        make_record(EncodedVideo((jpeg(),), 4, 6, 25.0), "a.mp4", "jump", 0)
    )
    example.context.feature["clip/label/index"].int64_list.value.append(1)
    record = example.SerializeToString()
    with pytest.raises(RecordError, match=r"Received: .*\[0, 1\]"):
        stored_video(record)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?s)0, 1.*a\.mp4"):
        parse_record(tf.constant(record))


def test_a_record_of_another_program():
    """DMVR writes frames, and a label if there is one; it may write much else."""
    example = tf.train.SequenceExample()
    example.feature_lists.feature_list["image/encoded"].feature.add().bytes_list.value.append(
        jpeg(8, 10)
    )
    example.feature_lists.feature_list["audio"].feature.add().float_list.value.append(0.5)
    example.context.feature["clip/key_frame/timestamp"].int64_list.value.append(7)
    found = stored_video(example.SerializeToString())
    assert (found.height, found.width) == (8, 10)
    assert (found.label_index, found.label, found.video_id, found.fps) == (-1, "", "", 0.0)


def test_what_is_no_record():
    with pytest.raises(ValueError, match="SequenceExample"):
        stored_video(b"\xff\xff\xff")
    with pytest.raises(ValueError, match="image/encoded"):
        stored_video(b"")
