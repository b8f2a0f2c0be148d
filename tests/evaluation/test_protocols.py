import pytest

from keras_t3d.evaluation.protocols import ViewProtocol, view_protocol


def test_views_are_one_by_one_unless_said():
    assert view_protocol() == ViewProtocol("views", 1, 1)
    assert view_protocol("views", 10, 3) == ViewProtocol("views", 10, 3)


@pytest.mark.parametrize("name", ["t3d", "stc"])
def test_the_papers_cover_every_frame_with_the_centre_crop(name):
    assert view_protocol(name) == ViewProtocol(name, None, 1)
    assert "cover every frame" in view_protocol(name).description()


@pytest.mark.parametrize("given", [{"num_views": 3}, {"num_crops": 1}])
def test_what_a_paper_sets_cannot_be_set_again(given):
    with pytest.raises(ValueError, match=r"sets clips and crops itself.*Received: --protocol t3d"):
        view_protocol("t3d", **given)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"'views', 't3d', 'stc'.*Received: 'x'"):
        view_protocol("x")


def test_descriptions():
    assert view_protocol().description() == (
        "the clip in the middle of the video, the centre crop, "
        "mean of the probabilities of all views"
    )
    assert (
        view_protocol("views", 10, 3)
        .description()
        .startswith("10 clips spread over the whole video, 3 crops along the long side")
    )
