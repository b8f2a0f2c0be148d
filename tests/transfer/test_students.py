"""Every family of networks learns from a teacher, and is a plain network afterwards."""

import keras
import numpy as np
import pytest

from keras_t3d.models import VideoClassifier
from keras_t3d.transfer import FrameClipMatching
from tests.deploy.test_networks import NETWORKS
from tests.transfer.pairs import tiny_teacher

pytestmark = pytest.mark.fit

CLIP = (8, 16, 16, 3)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_changes_the_student_which_is_saved_by_itself(name, tmp_path):
    keras.utils.set_random_seed(0)
    network, options = NETWORKS[name]
    clips = np.random.default_rng(0).integers(0, 256, (4, *CLIP), dtype=np.uint8)
    student = network(input_shape=CLIP, num_classes=None, include_top=False, **options)
    matching = FrameClipMatching(tiny_teacher(), student, features=8, hidden=(16,))
    matching.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    before = [np.array(weight) for weight in student.trainable_weights]
    matching.fit({"clips": clips, "videos": np.arange(4, dtype=np.int32)}, batch_size=4, verbose=0)
    after = student.trainable_weights
    assert all(np.isfinite(weight).all() for weight in after)
    assert any((np.array(a) != b).any() for a, b in zip(after, before, strict=True))

    student.save(tmp_path / "student.keras")
    loaded = keras.saving.load_model(tmp_path / "student.keras")
    assert type(loaded) is type(student)
    assert isinstance(loaded, VideoClassifier)
    np.testing.assert_allclose(np.array(loaded(clips)), np.array(student(clips)), atol=1e-6)
