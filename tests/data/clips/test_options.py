import pytest

from keras_t3d.data import ReadOptions
from keras_t3d.data.clips.options import ClipSelection
from keras_t3d.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("wrong", "argument"),
    [
        ({"sampling": "centre"}, "sampling"),
        ({"short": "cut"}, "short"),
        ({"on_damage": "ignore"}, "on_damage"),
        ({"shuffle_buffer": 0}, "shuffle_buffer"),
        ({"target_fps": 0}, "target_fps"),
        ({"target_fps": True}, "target_fps"),
        ({"target_fps": 10.0, "sampling": "segments"}, "target_fps"),
        ({"first_step": -1}, "first_step"),
        ({"first_step": 1.0}, "first_step"),
        ({"worker": (2, 2)}, "worker"),
        ({"worker": (False, True)}, "worker"),
        ({"worker": 1}, "worker"),
        ({"cache": ""}, "cache"),
        ({"cache": 3}, "cache"),
    ],
)
def test_wrong_values_are_refused(wrong, argument):
    with pytest.raises(InvalidArgumentError, match=f"`{argument}`.*Received") as caught:
        ReadOptions(**wrong)
    assert caught.value.argument == argument


def test_workers_share_a_batch_evenly():
    options = ReadOptions(worker=(1, 3))
    assert options.worker_slice(6) == slice(2, 4)
    with pytest.raises(InvalidArgumentError, match=r"`batch_size`.* 9.*batch_size=7"):
        options.worker_slice(7)


def test_read_options_keep_the_selection():
    selection = ClipSelection(sampling="segments", short="pad", on_damage="skip")
    assert selection.read_options() == ReadOptions(
        sampling="segments", short="pad", on_damage="skip"
    )
