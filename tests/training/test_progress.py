import io
import pathlib
import re
import sys
import types

import keras
import numpy as np
import pytest
from rich.console import Console

from keras_t3d.optimization.learner import Learner
from keras_t3d.training.progress import TrainingProgress
from tests import forked

ON_JAX = [pytest.mark.process, pytest.mark.backend]


class Run:
    """A run whose clock and waiting for clips the test tells; `logs` count how often they are read.

    Ten steps an epoch of eight clips each, three epochs.
    """

    def __init__(self, terminal=False, width=80, **options):
        self.now = 1000.0
        self.reads = 0
        self.screen = io.StringIO()
        self.model = types.SimpleNamespace(
            data_wait=5.0, optimizer=types.SimpleNamespace(learning_rate=0.05)
        )
        options = {"epochs": 3, "steps_per_epoch": 10, "batch_size": 8} | options
        self.progress = TrainingProgress(
            **options,
            clock=lambda: self.now,
            console=Console(
                file=self.screen, force_terminal=terminal, width=width, color_system=None,
                legacy_windows=False,
            ),
        )  # fmt: skip
        self.progress.set_model(self.model)

    def steps(self, count, seconds=1.0, waiting=0.0, first=0, **figures):
        """Steps of so many seconds, a share of them waiting for clips."""
        for batch in range(first, first + count):
            self.now += seconds
            self.model.data_wait += waiting * seconds
            logs = {"loss": 0.5, **figures}
            self.progress.on_train_batch_end(
                batch, {name: _Logged(value, self) for name, value in logs.items()}
            )

    def epoch(self, epoch, *steps, **figures):
        """A whole epoch of the given (count, seconds, waiting); returns its logs."""
        self.progress.on_epoch_begin(epoch)
        first = 0
        for count, seconds, waiting in steps:
            self.steps(count, seconds, waiting, first)
            first += count
        logs = {"loss": 0.5, **figures}
        self.progress.on_epoch_end(epoch, logs)
        return logs

    @property
    def lines(self):
        return self.screen.getvalue().splitlines()


class _Logged:
    """A tensor of the device."""

    def __init__(self, value, run):
        self._value, self._run = value, run

    def __array__(self, dtype=None, copy=None):
        self._run.reads += 1
        return np.array(self._value, dtype)


class TestLineAfterEpoch:
    def test_the_line_has_all_metrics(self):
        run = Run()
        run.progress.on_train_begin()
        run.epoch(0, (10, 0.5, 0.1), top1=0.25, top5=0.75, val_top1=0.2, val_loss=3.0)
        assert run.lines == [
            "epoch 1/3  loss 0.5000  top1 0.2500  val_top1 0.2000  learning rate 0.05  "
            "16.0 clips/s  10% waiting for clips"
        ]

    def test_adds_speed_and_waiting_to_the_logs(self):
        run = Run()
        run.progress.on_train_begin()
        logs = run.epoch(0, (10, 0.5, 0.1))
        assert logs["learning_rate"] == 0.05
        assert logs["clips_per_second"] == pytest.approx(16)
        assert logs["data_wait"] == pytest.approx(0.1)

    @pytest.mark.parametrize(("waiting", "said"), [(0.24, False), (0.26, True)])
    def test_names_the_bottleneck(self, waiting, said):
        run = Run()
        run.progress.on_train_begin()
        run.epoch(0, (10, 1.0, waiting))
        (line,) = run.lines
        assert line.endswith(": reading clips, not the network, is the bottleneck") == said

    def test_the_first_step_of_fit_is_excluded(self):
        run = Run()
        run.progress.on_train_begin()
        logs = run.epoch(0, (1, 60.0, 0.9), (9, 0.5, 0.0))
        assert (logs["clips_per_second"], logs["data_wait"]) == (16.0, 0.0)

    def test_the_first_step_of_later_epochs_is_included(self):
        run = Run()
        run.progress.on_train_begin()
        run.epoch(0, (10, 0.5, 0.0))
        logs = run.epoch(1, (1, 3.0, 1.0), (9, 1.0, 0.0))
        assert logs["clips_per_second"] == pytest.approx(80 / 12)
        assert logs["data_wait"] == pytest.approx(0.25)
        run.progress.on_train_begin()  # another call of `fit`
        logs = run.epoch(2, (1, 3.0, 1.0), (9, 1.0, 0.0))
        assert (logs["clips_per_second"], logs["data_wait"]) == (8.0, 0.0)

    def test_validation_time_is_excluded(self):
        run = Run()
        run.progress.on_train_begin()
        run.progress.on_epoch_begin(0)
        run.steps(10)
        run.now += 500
        logs = {"loss": 0.5}
        run.progress.on_test_begin()
        run.progress.on_epoch_end(0, logs)
        assert logs["clips_per_second"] == 8.0

    def test_an_epoch_of_one_step_is_measured(self):
        run = Run(steps_per_epoch=1)
        run.progress.on_train_begin()
        logs = run.epoch(0, (1, 4.0, 0.5))
        assert (logs["clips_per_second"], logs["data_wait"]) == (2.0, 0.5)

    def test_a_resumed_epoch_measures_its_own_steps(self):
        run = Run(first_step=7)
        run.progress.on_train_begin()
        logs = run.epoch(1, (1, 30.0, 0.0), (2, 1.0, 0.0))
        assert logs["clips_per_second"] == 8.0
        logs = run.epoch(2, (10, 1.0, 0.0))
        assert logs["clips_per_second"] == 8.0
        assert run.lines[0] == "epoch 2/3  8/10  loss 0.5000"
        assert [line[:9] for line in run.lines[1:]] == ["epoch 2/3", "epoch 3/3"]


class TestWithoutTerminal:
    def test_a_short_epoch_prints_one_line(self):
        run = Run()
        run.progress.on_train_begin()
        run.epoch(0, (10, 2.9, 0.0))
        assert len(run.lines) == 1

    def test_a_long_epoch_prints_a_line_per_tenth(self):
        run = Run(steps_per_epoch=100)
        run.progress.on_train_begin()
        run.epoch(0, (100, 10.0, 0.1))
        steps = [int(re.search(r"  (\d+)/100  ", line)[1]) for line in run.lines[:-1]]
        assert steps == [10, 20, 30, 40, 50, 60, 70, 80, 90]
        assert run.lines[4] == (
            "epoch 1/3  50/100  loss 0.5000  0.80 clips/s  10% waiting for clips  "
            "left: epoch 0:08:20, run 0:41:40"
        )

    def test_lines_are_at_least_thirty_seconds_apart(self):
        run = Run(steps_per_epoch=100)
        run.progress.on_train_begin()
        run.epoch(0, (100, 1.3, 0.0))
        steps = [int(re.search(r"  (\d+)/100  ", line)[1]) for line in run.lines[:-1]]
        assert steps == [24, 48, 72, 96]

    def test_long_lines_are_not_broken(self):
        run = Run(width=20)
        run.progress.on_train_begin()
        run.epoch(0, (10, 0.5, 0.9), top1=0.25, val_top1=0.2)
        assert len(run.lines) == 1

    def test_reads_only_the_metrics_it_shows(self):
        run = Run(steps_per_epoch=1000)
        run.progress.on_train_begin()
        run.progress.on_epoch_begin(0)
        run.steps(1000, 0.01)
        assert run.reads == 2  # after the first and the last step, for the clock


class TestOnATerminal:
    def start(self, **options):
        run = Run(terminal=True, **options)
        run.progress.on_train_begin()
        return run

    def drawn(self, run):
        """What was drawn since the last call, without the cursor's moves."""
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", run.screen.getvalue())
        run.screen.seek(0)
        run.screen.truncate()
        return text

    def test_draws_a_bar_with_all_metrics(self):
        run = self.start()
        run.progress.on_epoch_begin(1)
        run.steps(4, 1.0)
        self.drawn(run)
        run.steps(1, 1.0, 0.5, first=4, top1=0.25)
        first, second = [line.strip() for line in self.drawn(run).splitlines() if line.strip()]
        assert re.fullmatch(r"epoch 2/3 [━╸╺ ]+ 5/10  left: epoch 0:00:05, run 0:00:15", first), (
            first
        )
        assert second == "loss 0.5000  top1 0.2500  8.00 clips/s  12% waiting for clips"
        run.progress.on_train_end()

    @pytest.mark.parametrize("width", [60, 80, 200])
    def test_draws_two_lines_at_any_width(self, width):
        run = self.start(width=width, steps_per_epoch=12345)
        run.progress.on_epoch_begin(0)
        run.steps(3, 1.0)
        self.drawn(run)
        run.steps(1, 1.0, 0.5, first=3, top1=0.25)
        lines = [line for line in self.drawn(run).splitlines() if line.strip()]
        assert len(lines) == 2
        assert max(map(len, lines)) <= width
        run.progress.on_train_end()

    def test_time_left_includes_the_time_between_epochs(self):
        run = self.start()
        run.epoch(0, (10, 1.0, 0.0))
        run.now += 100  # validation and files
        run.progress.on_epoch_begin(1)
        run.steps(5)
        assert "left: epoch 0:00:05, run 0:01:55" in self.drawn(run)
        run.progress.on_train_end()

    def test_reads_metrics_twice_a_second_at_most(self):
        run = self.start(steps_per_epoch=1000)
        run.progress.on_epoch_begin(0)
        run.steps(1)
        run.reads = 0
        run.steps(990, 0.01, first=1)  # 9.9 seconds
        assert run.reads <= 20
        assert "991/1000" not in self.drawn(run)
        run.steps(1, 1.0, first=991)
        assert "992/1000" in self.drawn(run)
        run.progress.on_train_end()

    def test_shows_validation(self):
        run = self.start()
        run.progress.on_epoch_begin(0)
        run.steps(10)
        self.drawn(run)
        run.progress.on_test_begin()
        assert "validation" in self.drawn(run)
        run.progress.on_train_end()

    def test_keeps_the_lines_and_restores_the_cursor(self):
        run = self.start()
        run.epoch(0, (10, 1.0, 0.0))
        output, errors = sys.stdout, sys.stderr
        run.progress.close()  # as after a `fit` that failed
        run.progress.on_train_end()
        assert run.screen.getvalue().rindex("\x1b[?25h") > run.screen.getvalue().rindex("\x1b[?25l")
        assert run.screen.getvalue().count("loss 0.5000  learning rate 0.05") == 1
        assert (sys.stdout, sys.stderr) == (output, errors)

    def test_no_bar_on_a_dumb_terminal(self, monkeypatch):
        monkeypatch.setenv("TERM", "dumb")
        run = self.start()
        run.epoch(0, (10, 1.0, 0.0))
        assert "\x1b" not in run.screen.getvalue()
        assert len(run.lines) == 1


def fit(path):
    """Trains a network of one layer for two epochs; what was shown goes into a file."""
    network = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3)])
    learner = Learner(network)
    learner.compile(
        keras.optimizers.SGD(0.25),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="top1")],
    )
    inputs, labels = np.ones((12, 2), "float32"), np.zeros(12, int)
    with path.open("w") as file:
        progress = TrainingProgress(2, 3, 4, console=Console(file=file, width=80))
        history = learner.fit(
            inputs, labels, batch_size=4, epochs=2, validation_data=(inputs, labels),
            callbacks=[progress], verbose=0,
        )  # fmt: skip
    assert history.history["learning_rate"] == [0.25, 0.25]
    assert min(history.history["clips_per_second"]) > 0
    assert 0 <= min(history.history["data_wait"]) <= max(history.history["data_wait"]) <= 1


@pytest.mark.fit
class TestInFit:
    @pytest.fixture(params=["tensorflow", pytest.param("jax", marks=ON_JAX)])
    def shown(self, request, tmp_path):
        path = tmp_path / "shown.txt"
        if request.param == "jax":
            forked.run_on_cpu("jax", ["-m", "tests.training.test_progress", path])
        else:
            fit(path)
        return path.read_text().splitlines()

    def test_shows_each_epoch(self, shown):
        assert len(shown) == 2
        for number, line in enumerate(shown):
            assert re.match(
                rf"epoch {number + 1}/2  loss \d\.\d{{4}}  top1 \d\.\d{{4}}  val_top1 \d\.\d{{4}}  "
                r"learning rate 0\.25  [\d.]+ clips/s  \d+% waiting for clips",
                line,
            ), line


if __name__ == "__main__":
    fit(pathlib.Path(sys.argv[1]))
