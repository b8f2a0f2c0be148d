import io

import numpy as np
from PIL import Image

from keras_t3d.data.shards.damage import split_records
from keras_t3d.evaluation.thumbnails import make_thumbnails
from tests.data.written_shards import shard_set
from tests.evaluation.written import write_damaged, write_shards


def test_the_middle_frame_of_the_records_that_are_asked_for(tmp_path):
    shards = write_shards(
        tmp_path, [[("a", 0, 1), ("b", 0, 5)], [("c", 1, 20)], [("d", 0, 9), ("e", 0, 30)]]
    )
    pictures = make_thumbnails(split_records(shards, "test"), [4, 1, 2, 1])
    assert list(pictures) == [1, 2, 4]
    middles = []
    for picture in pictures.values():
        with Image.open(io.BytesIO(picture)) as image:
            assert image.format == "JPEG"
            middles.append(round(np.asarray(image).mean() / 5))
    assert middles == [2, 10, 15]


def test_large_frames_are_shrunk(tmp_path):
    shards = shard_set(tmp_path / "s", [1], num_frames=1, size=(240, 480))
    (picture,) = make_thumbnails(split_records(shards, "train"), [0]).values()
    with Image.open(io.BytesIO(picture)) as image:
        assert image.size == (192, 96)


def test_a_frame_that_is_no_picture_is_left_out(tmp_path):
    shards = write_damaged(tmp_path / "s")
    assert list(make_thumbnails(split_records(shards, "train"), [0, 1])) == [1]
