"""What a model card says."""

import json

import pytest

from keras_t3d import models
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.hub import ModelCardOptions, model_card

METRICS = {
    "videos": 30,
    "top1": 0.9,
    "chance": 0.5,
    "intervals": {"top1": [0.8, 1.0]},
    "protocol": {"split": "test"},
}


def test_a_card_of_what_the_model_knows(model):
    card = model_card(model, "user/name")
    header, _, text = card.removeprefix("---\n").partition("---\n")
    assert header.splitlines()[:3] == [
        "library_name: keras",
        "license: unknown",
        "pipeline_tag: video-classification",
    ]
    assert text.strip().startswith("# name\n\nA video classifier of 2 classes")
    assert f"| network | {model.name} (T3D), {model.count_params():,} parameters |" in text
    assert "| data | not stated |" in text
    assert "| top-1 | not stated |" in text
    assert "clips of 8 frames, one of every 2; short side 36, centre 32 x 32;" in text
    assert text.rstrip().endswith("`bright`, `dark`")
    clip_spec = text.partition("```json\n")[2].partition("```")[0]
    assert json.loads(clip_spec) == model.clip_spec.get_config()


def test_a_card_with_license_data_and_accuracy(model, tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    for report in (tmp_path, tmp_path / "metrics.json"):
        options = ModelCardOptions(license="cc-by-4.0", data="Our videos", report=report)
        card = model_card(model, "user/name", options)
        assert "license: cc-by-4.0\n" in card
        assert "| data | Our videos |" in card
        assert "0.9000 on 30 test videos (95 % interval 0.8000 to 1.0000; chance 0.5000)" in card


def test_a_network_without_classes():
    network = models.ResNet3D(
        (4, 16, 16, 3), include_top=False, stage_blocks=(1,), stage_filters=(4,), stem_filters=4
    )
    assert "None: the model returns features." in model_card(network, "user/name")


def test_many_classes_are_not_all_listed(model):
    class Many:
        name, clip_spec = "many", model.clip_spec
        class_names = tuple(f"class {index}" for index in range(101))

        def count_params(self):
            return 1

    assert "`class 99`, and 1 more" in model_card(Many(), "user/name")


@pytest.mark.parametrize("content", [None, "{}", "[", '{"videos": 3, "intervals": {}}'])
def test_a_report_that_is_not_one(model, tmp_path, content):
    path = tmp_path / "metrics.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidArgumentError, match="`report`"):
        model_card(model, "user/name", ModelCardOptions(report=path))


@pytest.mark.parametrize("options", [{"license": "my license"}, {"license": ""}, {"data": "a\nb"}])
def test_options_that_break_the_card(options):
    with pytest.raises(InvalidArgumentError, match=f"`{next(iter(options))}`"):
        ModelCardOptions(**options)
