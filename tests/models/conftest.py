import keras
import pytest


@pytest.fixture
def zeros_for_initial_values(monkeypatch):
    """A network of 100 million weights is built in no time if they need not be drawn."""
    monkeypatch.setattr(
        keras.initializers.VarianceScaling,
        "__call__",
        lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype),
    )
