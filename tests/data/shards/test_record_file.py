"""TFRecord files as TensorFlow reads and writes them."""

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_t3d.data.shards.errors import RecordError
from keras_t3d.data.shards.record_file import RecordWriter, framed, read_record, record_offsets

RECORDS = [b"first", b"", b"\x00\xff" * 500, b"last"]


@pytest.fixture
def path(tmp_path):
    with RecordWriter(tmp_path / "x.tfrecord") as writer:
        for record in RECORDS:
            writer.write(record)
    return tmp_path / "x.tfrecord"


def read_all(path):
    with open(path, "rb") as file:
        return [read_record(file, int(offset)) for offset in record_offsets(path)]


def test_tensorflow_reads_what_is_written(path):
    assert list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()) == RECORDS


@settings(max_examples=30, deadline=None)
@given(records=st.lists(st.binary(max_size=300), max_size=5))
def test_the_bytes_are_tensorflows(records, tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "x.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    assert path.read_bytes() == b"".join(map(framed, records))
    assert read_all(path) == records


def test_offsets_are_where_records_begin(path):
    assert record_offsets(path).tolist() == [0, 21, 37, 1053]
    assert read_all(path) == RECORDS
    path.write_bytes(b"")
    assert record_offsets(path).tolist() == []


@pytest.mark.parametrize("lost", [1, 4, 8, 15, 18])
def test_a_file_that_ends_too_early(path, lost):
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(RecordError, match=r"1053 of .*x\.tfrecord"):
        read_all(path)


@pytest.mark.parametrize(
    ("place", "said"), [(40, "damaged header"), (60, "another checksum"), (1050, "another")]
)
def test_a_flipped_byte_is_found_and_placed(path, place, said):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(RecordError, match=f"37 of .*{said}"):
        read_all(path)
