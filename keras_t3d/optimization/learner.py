"""The learner: a training step that is the same on any number of devices."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import keras

from keras_t3d.errors import InvalidArgumentError, check_integer
from keras_t3d.models.classification_loss import check_loss_of_classifier
from keras_t3d.optimization.loss_scaling import with_loss_scaling
from keras_t3d.optimization.padding import PaddingAware

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


class Learner(PaddingAware, _Step):
    """Trains a network with `compile` and `fit`, on one device, several, or several machines.

    A Keras model that wraps the network; save `learner.network`. It differs from Keras:

    - gradients are summed over all devices before clipping (with optimizers of
      `make_optimizer`) and before loss scaling checks for overflow;
    - `accumulation` splits each device's batch into parts that are computed in sequence and make
      one step: the memory of a part, the gradient of the whole batch. Batch norm computes its
      statistics per part;
    - `fit` works under `MultiWorkerMirroredStrategy` (Keras issue 20585);
    - `data_wait` counts the seconds that training waited for clips, except on PyTorch.

    Make it in the strategy's scope. Under a strategy, training batches must be full, and a
    multiple of devices times `accumulation`.

    Args:
        network: the network to train, built.
        accumulation: number of parts of a device's batch, at least 1.

    Raises:
        InvalidArgumentError: if the network is not built, or `accumulation` is not an integer of
            at least 1 that the backend supports.

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
        super().__init__(dtype="float32")  # the layers cast
        if not network.built:
            raise InvalidArgumentError(
                "`network` must be built, for example by network.build((None, 16, 112, 112, 3)). "
                f"Received: {network.name!r}",
                argument="network",
            )
        check_integer("accumulation", accumulation, lowest=1, example=4)
        if accumulation > 1 and keras.backend.backend() not in ("tensorflow", "jax"):
            raise InvalidArgumentError(
                "`accumulation` above 1 needs the TensorFlow or JAX backend. "
                f"Received: {accumulation} on {keras.backend.backend()}",
                argument="accumulation",
            )
        self.network = network
        self.accumulation = accumulation
        self.data_wait = 0.0
        self.built = True

    def compile(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        """Compiles as Keras does, and builds the optimizer, so that checkpoints can restore it.

        The loss is scaled if the network computes in float16.

        Args:
            optimizer: Keras optimizer.
            *args: further arguments of `keras.Model.compile`; the first one is the loss.
            **kwargs: the same by name.

        Raises:
            InvalidArgumentError: if the loss would read logits as probabilities or the reverse.
        """
        check_loss_of_classifier(args[0] if args else kwargs.get("loss"), self.network)
        if kwargs.get("auto_scale_loss", True):
            optimizer = with_loss_scaling(optimizer, self.network)
        optimizer = keras.optimizers.get(optimizer)  # it may be a name
        super().compile(optimizer, *args, **kwargs)
        if not optimizer.built:
            with self.scope():
                optimizer.build(self.trainable_variables)

    @property
    def checkpointed_variables(self) -> list[Any]:
        """Variables that training changes, other than those of optimizer and metrics."""
        return self.network.variables

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.network(inputs, training=training)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.network.compute_output_shape(input_shape)

    def make_train_function(self, force: bool = False) -> None:
        """Makes Keras's train function, which also measures the waiting for data."""
        if self.train_function is not None and not force:
            return
        super().make_train_function(force)
        if keras.backend.backend() != "torch":  # whose `fit` reads the clips in another way
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
