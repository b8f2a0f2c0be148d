"""What `fit` trains: a network with a training step that is the same on any number of devices."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import keras

_Step: Any
if keras.backend.backend() == "tensorflow":
    from keras_t3d.optimization.tensorflow_step import TensorFlowStep

    _Step = TensorFlowStep
elif keras.backend.backend() == "jax":
    from keras_t3d.optimization.jax_step import JAXStep

    _Step = JAXStep
else:
    from keras_t3d.optimization.torch_step import TorchStep

    _Step = TorchStep


class Learner(_Step):
    """Trains a network by `compile` and `fit`, on one device, many, or many machines alike.

    A Keras model around the network, which stays as it is: save `learner.network`.
    What it mends in Keras:

    - gradients of all devices are added up before they are clipped (with optimizers of
      `make_optimizer`) and before loss scaling looks for overflows;
    - `accumulation` splits each device's batch into parts that pass one after another and
      make one step: the memory of a part, the gradient of the whole. Batch norm sees the
      parts;
    - `fit` under `MultiWorkerMirroredStrategy`, where Keras fails (its issue 20585);
    - `data_wait`: seconds that training waited for clips; not known with PyTorch.

    Make it in the strategy's scope. Under a strategy, training batches must be full and a
    multiple of devices times `accumulation`.

    Args:
        network: keras.Model, built.
        accumulation: int. Parts of a device's batch. Defaults to `1`.

    Raises:
        ValueError: if the network is not built, or `accumulation` is no whole number from 1.

    Example:

    ```python
    with tf.distribute.MirroredStrategy().scope():
        network = keras_t3d.models.T3D121(input_shape=(16, 112, 112, 3), num_classes=101)
    learner = Learner(network, accumulation=4)
        optimizer = make_optimizer("SGD", 0.1, momentum=0.9, global_clipnorm=40.0)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        learner.compile(optimizer, loss)
    learner.fit(train, epochs=10)
    learner.network.save("trained.keras")
    ```
    """

    train_function: Any

    def __init__(self, network: keras.Model, accumulation: int = 1) -> None:
        super().__init__(dtype="float32")  # what it passes on is for its layers to cast
        if not network.built:
            raise ValueError(
                "Learner: `network` must be built, for example a network of keras_t3d.models, or "
                f"after network.build((None, 16, 112, 112, 3)). Received: {network.name!r}"
            )
        if isinstance(accumulation, bool) or not isinstance(accumulation, int) or accumulation < 1:
            raise ValueError(
                "Learner: `accumulation` must be a whole number from 1, for example 4. "
                f"Received: accumulation={accumulation!r}"
            )
        if accumulation > 1 and keras.backend.backend() not in ("tensorflow", "jax"):
            raise ValueError(
                "Learner: `accumulation` needs the TensorFlow or JAX backend. "
                f"Received: accumulation={accumulation} on {keras.backend.backend()}"
            )
        self.network = network
        self.accumulation = accumulation
        self.data_wait = 0.0
        self.built = True

    def compile(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        """Keras's `compile`; builds the optimizer, so that its values can be restored."""
        optimizer = keras.optimizers.get(optimizer)  # it may be a name
        super().compile(optimizer, *args, **kwargs)
        if not optimizer.built:
            with self.scope():
                optimizer.build(self.trainable_variables)

    @property
    def checkpointed_variables(self) -> list[Any]:
        """What a checkpoint holds beside optimizer and metrics: all that training changes."""
        return self.network.variables

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.network(inputs, training=training)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.network.compute_output_shape(input_shape)

    def make_train_function(self, force: bool = False) -> None:
        """Keras's, with the waiting for data measured."""
        if self.train_function is not None and not force:
            return
        super().make_train_function(force)
        if keras.backend.backend() != "torch":  # where `fit` reads the clips itself
            self.train_function = self._timed(self.train_function)

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def train_function(*arguments: Any) -> Any:
            *state, iterator = arguments
            started = time.perf_counter()
            batches = [next(iterator)]
            batches += [next(iterator) for _ in range(self.steps_per_execution - 1)]
            self.data_wait += time.perf_counter() - started
            return function(*state, _once(batches))

        return train_function


def _once(batches: list[Any]) -> Iterator[Any]:
    yield from batches
