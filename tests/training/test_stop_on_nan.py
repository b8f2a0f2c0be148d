import json
import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_t3d.training.stop_on_nan import NAN_BATCH, DivergedError, StopOnNaN
from tests import forked


class Asked:
    """Names a batch's videos and notes which batches were asked for."""

    def __init__(self):
        self.steps = []

    def __call__(self, step):
        self.steps.append(step)
        return [f"v{step}", "b"]


def run_epoch(guard, epoch, losses):
    """What `fit` tells a callback of an epoch whose running mean is `losses`."""
    guard.on_epoch_begin(epoch)
    for batch, loss in enumerate(losses):
        guard.on_train_batch_end(batch, {"loss": loss})
    guard.on_epoch_end(epoch, {"loss": losses[-1]})


def found(folder):
    return json.loads((folder / NAN_BATCH).read_text(encoding="utf-8"))


class TestStopOnNaN:
    @pytest.mark.parametrize("every", [1, 3, 4, 20])
    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
    def test_finds_the_first_bad_step(self, tmp_path, every, bad):
        asked = Asked()
        guard = StopOnNaN(tmp_path, asked, steps_per_epoch=10, every=every)
        run_epoch(guard, 0, [1.0] * 10)
        with pytest.raises(DivergedError, match=rf"{bad}.*epoch 2, step 6"):
            run_epoch(guard, 1, [1.0] * 5 + [bad] + [math.nan] * 4)
        assert found(tmp_path) == {
            "epoch": 2, "step": 6, "steps_per_epoch": 10, "global_step": 15,
            "loss": str(bad), "videos": ["v15", "b"],
        }  # fmt: skip
        assert asked.steps == [15]
        assert [path.name for path in tmp_path.iterdir()] == [NAN_BATCH]

    @given(st.integers(1, 12), st.data())
    @settings(deadline=None, max_examples=60)
    def test_stops_at_the_same_step_whatever_the_machine(self, tmp_path_factory, every, data):
        """At the next read, by steps alone: never later than `every` steps."""
        bad = data.draw(st.integers(0, 11))
        guard = StopOnNaN(tmp_path_factory.mktemp("run"), Asked(), 12, every=every, writes=False)
        guard.on_epoch_begin(0)
        read = (bad // every + 1) * every - 1  # the last of the steps that are read together
        for batch in range(min(read, 12)):
            guard.on_train_batch_end(batch, {"loss": 0.5 if batch < bad else math.nan})
        with pytest.raises(DivergedError, match=rf"step {bad + 1} of 12"):
            if read < 12:
                guard.on_train_batch_end(read, {"loss": math.nan})
            else:
                guard.on_epoch_end(0)

    def test_the_message_has_the_path_of_the_file(self, tmp_path):
        guard = StopOnNaN(tmp_path, Asked(), 5)
        with pytest.raises(DivergedError, match="nan") as raised:
            run_epoch(guard, 0, [math.nan])
        assert "\n" not in str(raised.value)
        assert str(tmp_path / NAN_BATCH) in str(raised.value)

    def test_first_step_is_for_the_first_epoch_only(self, tmp_path):
        guard = StopOnNaN(tmp_path, Asked(), steps_per_epoch=5, first_step=3)
        run_epoch(guard, 2, [1.0, 1.0])
        with pytest.raises(DivergedError, match="epoch 4, step 2 of 5"):
            run_epoch(guard, 3, [1.0, math.nan])
        assert found(tmp_path)["global_step"] == 16

    def test_the_step_in_a_resumed_epoch(self, tmp_path):
        guard = StopOnNaN(tmp_path, Asked(), steps_per_epoch=5, first_step=3)
        with pytest.raises(DivergedError, match="epoch 3, step 5 of 5"):
            run_epoch(guard, 2, [1.0, math.nan])
        assert found(tmp_path)["global_step"] == 14

    def test_check_reads_the_unread_losses(self, tmp_path):
        guard = StopOnNaN(tmp_path, Asked(), 100)
        guard.on_epoch_begin(0)
        guard.check()
        guard.on_train_batch_end(0, {"loss": 1.0})
        guard.check()
        guard.on_train_batch_end(1, {"loss": math.nan})
        with pytest.raises(DivergedError, match="step 2 of 100"):
            guard.check()

    def test_reads_one_loss_per_interval_while_losses_are_finite(self, tmp_path):
        reads = []

        class Loss:
            def __array__(self, dtype=None, copy=None):
                reads.append(self)
                return np.array(0.5, dtype)

        run_epoch(StopOnNaN(tmp_path, Asked(), 100, every=20), 0, [Loss() for _ in range(100)])
        assert len(reads) == 5

    def test_other_machines_stop_at_the_same_step_and_write_nothing(self, tmp_path):
        asked = Asked()
        with pytest.raises(DivergedError, match="step 1 of 5"):
            run_epoch(StopOnNaN(tmp_path, asked, 5, writes=False), 0, [math.nan])
        assert (list(tmp_path.iterdir()), asked.steps) == ([], [])

    def test_unreadable_videos_do_not_hide_the_error(self, tmp_path):
        def videos(step):
            raise ValueError("Damaged shard: x")

        with pytest.raises(DivergedError, match=r"nan.*epoch 1, step 1"):
            run_epoch(StopOnNaN(tmp_path, videos, 5), 0, [math.nan])
        assert found(tmp_path)["videos"] == []
        assert found(tmp_path)["videos_error"] == "Damaged shard: x"

    def test_names_that_are_not_utf8_are_written(self, tmp_path):
        with pytest.raises(DivergedError, match="nan"):
            run_epoch(StopOnNaN(tmp_path, lambda _: ["é\udcff.avi"], 5), 0, [math.nan])
        assert found(tmp_path)["videos"] == ["é\udcff.avi"]

    @pytest.mark.fit
    def test_in_fit(self, tmp_path):
        fit_to_nan(tmp_path)
        assert found(tmp_path)["global_step"] == 9
        assert found(tmp_path)["videos"] == ["v9"]

    @pytest.mark.process
    @pytest.mark.backend
    def test_in_fit_on_jax(self, tmp_path):
        forked.run_on_cpu("jax", ["-m", "tests.training.test_stop_on_nan", tmp_path])
        assert found(tmp_path)["global_step"] == 9


def fit_to_nan(folder):
    """Trains on four batches an epoch; the second of the third epoch gives NaN."""
    values = np.ones((12, 2, 1), "float32")
    values[9] = np.nan

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 12

        def __getitem__(self, index):
            return values[index], values[index]

    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    guard = StopOnNaN(folder, lambda step: [f"v{step}"], steps_per_epoch=4, every=3)
    with pytest.raises(DivergedError, match="epoch 3, step 2 of 4"):
        model.fit(
            Batches(), epochs=3, steps_per_epoch=4, shuffle=False, verbose=0, callbacks=[guard]
        )


if __name__ == "__main__":
    import pathlib
    import sys

    fit_to_nan(pathlib.Path(sys.argv[1]))
