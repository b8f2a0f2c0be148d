import pytest

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.evaluation import EvaluationOptions


def test_the_default_is_one_view():
    options = EvaluationOptions()
    assert (options.num_clips, options.num_crops) == (1, 1)
    options = EvaluationOptions(views=10, crops=3)
    assert (options.num_clips, options.num_crops) == (10, 3)


@pytest.mark.parametrize("protocol", ["t3d", "stc"])
def test_the_papers_cover_every_frame_with_the_centre_crop(protocol):
    options = EvaluationOptions(protocol)
    assert (options.num_clips, options.num_crops) == (None, 1)
    assert "cover every frame" in options.description()


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"protocol": "t3d", "views": 3}, "views"),
        ({"protocol": "t3d", "crops": 1}, "crops"),
        ({"protocol": "x"}, "protocol"),
        ({"views": 0}, "views"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_wrong_options_are_rejected(options, argument):
    with pytest.raises(InvalidArgumentError) as error:
        EvaluationOptions(**options)
    assert error.value.argument == argument


def test_two_crops_are_rejected():
    with pytest.raises(InvalidArgumentError, match="2"):
        EvaluationOptions(crops=2)


def test_descriptions():
    assert EvaluationOptions().description() == (
        "the clip in the middle of the video, the centre crop, "
        "mean of the probabilities of all views"
    )
    description = EvaluationOptions(views=10, crops=3).description()
    assert description.startswith(
        "10 clips spread over the whole video, 3 crops along the long side"
    )
