import io
import pathlib
import sys
import types

import keras
import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from keras_t3d.training.tensorboard_log import Profile, TensorBoardLog, clips_png
from tests import forked


def read(folder):
    """A run as TensorBoard reads it."""
    run = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    return run.Reload()


def scalars(run):
    """Steps and values by tag."""
    return {
        tag: [(event.step, event.value) for event in run.Scalars(tag)]
        for tag in run.Tags()["scalars"]
    }


def picture(run, tag):
    """Steps of an image's events, and the last one's picture."""
    events = run.Images(tag)
    with Image.open(io.BytesIO(events[-1].encoded_image_string)) as image:
        assert image.size == (events[-1].width, events[-1].height)
        return [event.step for event in events], np.asarray(image.convert("RGB"))


def train(log, epochs, **figures):
    for epoch in epochs:
        log.on_epoch_begin(epoch)
        log.on_epoch_end(epoch, {name: values[epoch] for name, values in figures.items()})


FIGURES = {
    "loss": [2.0, 1.0, 0.5],
    "learning_rate": [0.5, 0.25, 0.125],
    "clips_per_second": [8.0, 16.0, 32.0],
    "data_wait": [0.5, 0.25, 0.0],
    "val_loss": [4.0, 3.0, 2.0],
}


def colours(n, num_frames=4, size=(24, 32)):
    """Clips each of one colour, `(10 + n, 100, 0)`; the blue of a frame is its number."""
    clips = np.empty((n, num_frames, *size, 3), np.uint8)
    clips[..., 0] = 10 + np.arange(n)[:, None, None, None]
    clips[..., 1] = 100
    clips[..., 2] = np.arange(num_frames)[:, None, None]
    return clips


class TestScalars:
    def test_train_and_validation_have_the_same_tags(self, tmp_path):
        log = TensorBoardLog(tmp_path)
        train(log, range(3), **FIGURES)
        log.on_train_end()
        assert scalars(read(tmp_path / "train")) == {
            "epoch_loss": [(0, 2.0), (1, 1.0), (2, 0.5)],
            "epoch_learning_rate": [(0, 0.5), (1, 0.25), (2, 0.125)],
            "epoch_clips_per_second": [(0, 8.0), (1, 16.0), (2, 32.0)],
            "epoch_data_wait": [(0, 0.5), (1, 0.25), (2, 0.0)],
        }
        assert scalars(read(tmp_path / "validation")) == {
            "epoch_loss": [(0, 4.0), (1, 3.0), (2, 2.0)]
        }

    def test_a_failed_fit_keeps_the_metrics(self, tmp_path):
        train(TensorBoardLog(tmp_path), range(1), **FIGURES)  # no on_train_end
        assert scalars(read(tmp_path / "train"))["epoch_loss"] == [(0, 2.0)]
        assert scalars(read(tmp_path / "validation"))["epoch_loss"] == [(0, 4.0)]

    def test_a_resumed_run_appends(self, tmp_path):
        train(TensorBoardLog(tmp_path), range(2), **FIGURES)
        train(TensorBoardLog(tmp_path), [1, 2], **FIGURES)  # killed before its second checkpoint
        for run, tag in (("train", "loss"), ("validation", "val_loss")):
            written = set(scalars(read(tmp_path / run))["epoch_loss"])
            assert written == set(enumerate(FIGURES[tag]))

    def test_writes_in_a_second_call_of_fit(self, tmp_path):
        log = TensorBoardLog(tmp_path)
        train(log, [0], **FIGURES)
        log.on_train_end()
        train(log, [1, 2], **FIGURES)
        log.on_train_end()
        written = scalars(read(tmp_path / "train"))["epoch_loss"]
        assert sorted(written) == list(enumerate(FIGURES["loss"]))

    def test_without_validation_there_is_no_validation_run(self, tmp_path):
        log = TensorBoardLog(tmp_path)
        train(log, [0], loss=[1.0])
        log.on_train_end()
        assert [path.name for path in tmp_path.iterdir()] == ["train"]


class TestImages:
    def test_sample_clips_are_written_before_the_first_epoch(self, tmp_path):
        log = TensorBoardLog(tmp_path, lambda: (colours(2), ["one", "two"]))
        log.on_epoch_begin(0)
        steps, sheet = picture(read(tmp_path / "train"), "sample_clips")
        assert steps == [0]
        assert {(10, 100, 0), (11, 100, 3)} <= set(map(tuple, sheet.reshape(-1, 3)))

    def test_a_resumed_run_does_not_write_sample_clips(self, tmp_path):
        asked = []
        train(TensorBoardLog(tmp_path, lambda: asked.append(1)), [1, 2], **FIGURES)
        assert asked == []

    def test_writes_a_confusion_matrix_per_epoch(self, tmp_path):
        # Counted by a metric, in float32, on the device.
        counts = keras.Variable(np.array([[3.0, 1.0], [0.0, 4.0]], "float32"))
        log = TensorBoardLog(tmp_path, confusion=lambda: (counts, ["jump", "run"]))
        train(log, range(2), **FIGURES)
        steps, drawn = picture(read(tmp_path / "validation"), "confusion_matrix")
        assert steps == [0, 1]
        first = drawn
        counts.assign([[0.0, 4.0], [4.0, 0.0]])
        train(log, [2], **FIGURES)
        steps, drawn = picture(read(tmp_path / "validation"), "confusion_matrix")
        assert steps == [0, 1, 2]
        assert not np.array_equal(first, drawn)


def sheet_of(clips, names):
    with Image.open(io.BytesIO(clips_png(clips, names))) as image:
        return np.asarray(image)


class TestClipsPng:
    def test_frames_are_side_by_side(self):
        sheet = sheet_of(colours(2, num_frames=3), ["one", "two"])
        assert sheet.shape == (2 * 50, 324, 3)
        for row in range(2):
            frames = sheet[row * 50 + 22 : row * 50 + 22 + 24]
            for number in range(3):
                frame = frames[:, 4 + 36 * number : 36 + 36 * number]
                assert (frame == (10 + row, 100, number)).all()
                assert (frames[:, 36 + 36 * number : 40 + 36 * number] == 255).all()

    def test_names_are_above_the_frames(self):
        with_names, without = (sheet_of(colours(1), [name]) for name in ("jump", ""))
        assert (without[:22] == 255).all()
        assert (with_names[:22] < 100).any()
        assert np.array_equal(with_names[22:], without[22:])

    def test_long_names_are_truncated(self):
        long, other = (sheet_of(colours(1), [name]) for name in ("m" * 200, "m" * 300))
        assert np.array_equal(long, other)
        assert (long[:22, -4:] == 255).all()
        assert (long[:22, -40:] < 100).any()

    @pytest.mark.parametrize("name", ["прыжок", "跳", "$x$", "a\u0301"])
    def test_any_name_can_be_drawn(self, name):
        assert (sheet_of(colours(1), [name])[:22] < 255).any()

    def test_long_clips_are_drawn_as_eight_thumbnails(self):
        sheet = sheet_of(colours(1, num_frames=50, size=(448, 224)), ["x"])
        assert sheet.shape == (22 + 112 + 4, 8 * 60 + 4, 3)
        blues = [int(sheet[60, 4 + 60 * column, 2]) for column in range(8)]
        assert blues == [0, 7, 14, 21, 28, 35, 42, 49]

    def test_at_most_sixteen_clips_are_drawn(self):
        assert sheet_of(colours(40), ["x"] * 40).shape[0] == 16 * 50


ON_JAX = [pytest.mark.process, pytest.mark.backend]


def fit_and_write(folder):
    """Three epochs of three steps, without TensorFlow where that is not the backend."""
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    values = np.ones((6, 1), "float32")
    model.fit(
        values, values, batch_size=2, epochs=3, verbose=0, validation_data=(values, values),
        callbacks=[
            TensorBoardLog(
                folder, lambda: (colours(1), ["one"]), lambda: (np.eye(2), ["jump", "run"])
            ),
            Profile(folder, first=2, steps=3),
        ],
    )  # fmt: skip


@pytest.mark.fit
class TestInFit:
    @pytest.fixture(scope="class", params=["tensorflow", pytest.param("jax", marks=ON_JAX)])
    def folder(self, request, tmp_path_factory):
        folder = tmp_path_factory.mktemp(request.param)
        if request.param == "jax":
            forked.run_on_cpu("jax", ["-c", WITHOUT_TENSORFLOW, folder])
        else:
            fit_and_write(folder)
        return folder

    def test_writes_metrics_and_images(self, folder):
        training, validation = (read(folder / name) for name in ("train", "validation"))
        assert [step for step, _ in scalars(training)["epoch_loss"]] == [0, 1, 2]
        assert [step for step, _ in scalars(validation)["epoch_loss"]] == [0, 1, 2]
        assert training.Tags()["images"] == ["sample_clips"]
        assert validation.Tags()["images"] == ["confusion_matrix"]

    def test_writes_one_profile(self, folder):
        (trace,) = folder.glob("plugins/profile/*/*.xplane.pb")
        assert b"step_num" in trace.read_bytes()


WITHOUT_TENSORFLOW = """
import pathlib, sys
sys.modules["tensorflow"] = None
from tests.training.test_tensorboard_log import fit_and_write
fit_and_write(pathlib.Path(sys.argv[1]))
"""


class TestProfile:
    @pytest.fixture
    def calls(self, monkeypatch):
        """What the profiler is told, in its place."""
        import tensorflow as tf

        calls = []
        profiler = tf.profiler.experimental
        monkeypatch.setattr(profiler, "start", lambda folder: calls.append("start"))
        monkeypatch.setattr(profiler, "stop", lambda: calls.append("stop"))

        class Trace:
            def __init__(self, name, step_num, _r):
                self.step = step_num

            def __enter__(self):
                calls.append(self.step)

            def __exit__(self, *_):
                calls.append(-self.step)

        monkeypatch.setattr(profiler, "Trace", Trace)
        return calls

    def run(self, profile, *lengths):
        """One call of `fit` with epochs of these lengths."""
        profile.set_model(types.SimpleNamespace())
        profile.on_train_begin()
        for epoch, length in enumerate(lengths):
            profile.on_epoch_begin(epoch)
            for batch in range(length):
                profile.on_train_batch_begin(batch)
                profile.on_train_batch_end(batch, {"loss": 1.0})
            profile.on_epoch_end(epoch)
        profile.on_train_end()

    def test_traces_its_steps_over_epochs(self, tmp_path, calls):
        self.run(Profile(tmp_path, first=3, steps=3), 4, 4, 4)
        assert calls == ["start", 3, -3, 4, -4, 5, -5, "stop"]

    def test_a_short_training_ends_the_trace(self, tmp_path, calls):
        profile = Profile(tmp_path, first=3, steps=100)
        self.run(profile, 5)
        assert calls == ["start", 3, -3, 4, -4, "stop"]
        self.run(profile, 5)
        assert len(calls) == 6

    def test_a_shorter_training_is_not_traced(self, tmp_path, calls):
        self.run(Profile(tmp_path), 10)
        assert calls == []

    def test_counts_steps_over_calls_of_fit(self, tmp_path, calls):
        profile = Profile(tmp_path, first=3, steps=1)
        self.run(profile, 2)
        self.run(profile, 3)
        assert calls == ["start", 3, -3, "stop"]

    def test_a_run_with_a_trace_is_not_traced_again(self, tmp_path, calls):
        (tmp_path / "plugins" / "profile" / "2026").mkdir(parents=True)
        self.run(Profile(tmp_path, first=0, steps=1), 5)
        assert calls == []

    def test_a_failing_profiler_does_not_stop_training(self, tmp_path, calls, monkeypatch):
        import tensorflow as tf

        def start(folder):
            raise tf.errors.AlreadyExistsError(None, None, "another one runs")

        monkeypatch.setattr(tf.profiler.experimental, "start", start)
        with pytest.warns(UserWarning, match="another one runs") as warned:
            self.run(Profile(tmp_path, first=0, steps=2), 5)
        assert (len(warned), calls) == (1, [])


if __name__ == "__main__":
    fit_and_write(pathlib.Path(sys.argv[1]))
