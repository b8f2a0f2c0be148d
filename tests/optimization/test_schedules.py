import itertools

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_t3d.optimization import WarmUp, plateau_rate


class TestWarmUp:
    def test_rises_linearly_and_then_follows_from_its_beginning(self):
        cosine = keras.optimizers.schedules.CosineDecay(0.4, decay_steps=10)
        rate = WarmUp(3, cosine)
        np.testing.assert_allclose([float(rate(s)) for s in range(3)], [0.1, 0.2, 0.3], rtol=1e-6)
        for step in range(12):
            assert float(rate(step + 3)) == pytest.approx(float(cosine(step)))

    def test_before_a_constant(self):
        assert [float(WarmUp(1, 0.5)(step)) for step in (0, 1, 9)] == [0.25, 0.5, 0.5]

    def test_config_round_trip(self):
        rate = WarmUp(2, keras.optimizers.schedules.CosineDecay(0.4, 5))
        back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(rate))
        assert [float(back(s)) for s in range(8)] == [float(rate(s)) for s in range(8)]
        assert float(WarmUp.from_config(WarmUp(2, 0.5).get_config())(7)) == 0.5

    def test_zero_steps_are_refused(self):
        with pytest.raises(ValueError, match=r"`steps`.*0"):
            WarmUp(0, 0.1)


class TestPlateauRate:
    def test_falls_after_patience_epochs_without_a_lower_loss(self):
        losses = [2.0, 1.5, 1.5, 1.6, 1.5, 1.5, 1.4, 1.4]
        rates = [plateau_rate(losses[:n], 1.0, patience=2) for n in range(len(losses) + 1)]
        assert rates == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01])

    def test_a_loss_within_min_change_is_not_lower(self):
        assert plateau_rate([1.0, 0.99999], 1.0, patience=1) == 0.1
        assert plateau_rate([1.0, 0.999], 1.0, patience=1) == 1.0

    @given(st.lists(st.floats(0.1, 10), max_size=30), st.integers(1, 5))
    def test_never_rises(self, losses, patience):
        rates = [plateau_rate(losses[:n], 1.0, patience=patience) for n in range(len(losses) + 1)]
        assert all(a >= b for a, b in itertools.pairwise(rates))
        assert rates[-1] >= 0.1 ** (len(losses) // patience) * (1 - 1e-9)
