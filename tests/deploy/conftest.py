"""The network that both kinds of artifact are made of."""

import pytest

from tests.deploy.networks import clips_for, small_network


@pytest.fixture(scope="session")
def model():
    """A small T3D of six classes; tests must not change it."""
    return small_network()


@pytest.fixture(scope="session")
def clips(model):
    """Three clips for it."""
    return clips_for(model, 3)
