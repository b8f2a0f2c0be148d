import inspect

import pytest

from keras_t3d import layers, models
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models import registry


def test_create_builds_the_model_of_a_name():
    names = models.list_models()
    assert {"densenet3d_121", "densenet3d_169", "densenet3d_201", "t3d_121", "t3d_169"} < set(names)
    assert len(names) == len(set(names))
    model = models.create("t3d_tiny", input_shape=(16, 64, 64, 3), num_classes=4, dropout=0.1)
    assert (model.name, model.num_classes) == ("t3d_tiny", 4)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(InvalidArgumentError, match=r"'t3d_121'.*'t3d121'") as error:
        models.create("t3d121", input_shape=(16, 64, 64, 3), num_classes=4)
    assert error.value.argument == "name"


def test_a_taken_name_is_refused(monkeypatch):
    monkeypatch.setattr(registry, "_CONFIGURATIONS", dict(registry.configurations()))
    before = models.list_weights("t3d_121")
    with pytest.raises(InvalidArgumentError, match=r"T3D121.*'t3d_121'") as error:
        registry.register(models.T3D, "Mine", "t3d_121", "Mine.", block_layers=(1, 1))
    assert error.value.argument == "name"
    assert models.list_weights("t3d_121") == before
    for blocks in ((1, 1), (1, 2)):  # a cell that runs again
        registry.register(models.T3D, "Mine", "mine", "Mine.", block_layers=blocks)
    assert registry.configurations()["mine"].options["block_layers"] == (1, 2)


def test_an_unknown_option_suggests_the_nearest():
    with pytest.raises(InvalidArgumentError, match=r"`drop_out`.*'dropout'"):
        models.create("t3d_tiny", input_shape=(16, 64, 64, 3), num_classes=4, drop_out=0.1)
    with pytest.raises(InvalidArgumentError, match=r"resnet3d_18.*`growth_rate`"):
        models.create("resnet3d_18", (16, 64, 64, 3), 4, growth_rate=4)


@pytest.mark.parametrize("function", [models.T3D121, models.ResNeXt3D50, models.T3D])
def test_signatures_and_documentation_list_every_option(function):
    parameters = inspect.signature(function).parameters
    assert list(parameters)[:2] == ["input_shape", "num_classes"]
    assert {"dropout", "weights", "clip_spec", "class_names", "dtype"} < set(parameters)
    assert all(p.kind is not inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    for name in parameters:
        assert f"    {name}: " in function.__doc__


def test_defaults_are_those_of_the_configuration():
    parameters = inspect.signature(models.ResNeXt3D50).parameters
    assert parameters["groups"].default == 32
    assert parameters["name"].default == "resnext3d_50"


def test_completion_lists_the_public_names():
    assert {"T3D121", "create", "VideoClassifier", "list_models"} < set(dir(models))
    assert not {"t3d", "registry", "types"} & set(dir(models))
    assert sorted(dir(layers)) == sorted(layers.__all__)
