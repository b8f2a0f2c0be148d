import pytest

from keras_t3d import models


def test_every_name_builds_the_model_of_that_name():
    names = models.list_models()
    assert {"densenet3d_121", "densenet3d_169", "densenet3d_201", "t3d_121", "t3d_169"} < set(names)
    model = models.create("t3d_tiny", input_shape=(16, 64, 64, 3), num_classes=4, dropout=0.1)
    assert (model.name, model.num_classes) == ("t3d_tiny", 4)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 't3d_121'"):
        models.create("t3d121", input_shape=(16, 64, 64, 3), num_classes=4)
