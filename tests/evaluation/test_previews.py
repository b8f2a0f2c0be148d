import io

import av
import numpy as np

from keras_t3d.data.shards.damage import split_records
from keras_t3d.evaluation.previews import make_previews
from tests.conftest import frame_numbers
from tests.evaluation.written import write_damaged, write_shards


def decoded(preview):
    with av.open(io.BytesIO(preview)) as container:
        frames = list(container.decode(video=0))
    numbers = frame_numbers(np.stack([frame.to_ndarray(format="rgb24") for frame in frames]))
    return [round(float(frame.time), 3) for frame in frames], numbers


def test_a_short_video_is_shown_whole(tmp_path):
    shards = write_shards(tmp_path, [[("a", 0, 1), ("b", 0, 5)]])
    previews = make_previews(split_records(shards, "test"), [1])
    assert list(previews) == [1]
    times, numbers = decoded(previews[1])
    assert times == [0.0, 0.04, 0.08, 0.12, 0.16]
    assert list(numbers) == [0, 1, 2, 3, 4]


def test_three_seconds_around_the_middle(tmp_path):
    shards = write_shards(tmp_path, [[("a", 0, 105)]])  # of 25 frames a second
    (preview,) = make_previews(split_records(shards, "test"), [0]).values()
    times, _ = decoded(preview)
    assert len(times) == 75
    assert times[-1] == 2.96


def test_a_record_with_a_damaged_frame_is_left_out(tmp_path):
    shards = write_damaged(tmp_path / "s")
    assert list(make_previews(split_records(shards, "train"), [0, 1])) == [1]
