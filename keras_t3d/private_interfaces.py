"""Private interfaces of Keras and TensorFlow that this package uses, and where they were tried.

A release of Keras or TensorFlow may change them without notice, so pyproject.toml has upper
bounds. `tests/test_private_interfaces.py` checks that they exist, and that no other module of
the package uses any. Before raising a bound, run the tests with the new version, and add it here.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any

from keras_t3d.errors import MissingPackageError

KERAS_VERSIONS = ("3.11.0", "3.15.1")
TENSORFLOW_VERSIONS = ("2.16.2", "2.21.0")

_ONE_DENSE_SCALE = "disable_per_channel_for_dense_layers"  # of `mlir_quantize`

# Private methods that subclasses in this package override, or call on themselves.
OVERRIDDEN = {
    "keras.Model": (
        "_aggregate_additional_loss",
        "_compile_metrics",
        "_compute_loss",
        "_loss_tracker",
        "_maybe_symbolic_build",
        "_symbolic_build",
    ),
    "keras.Model on JAX": ("_update_metrics_variables",),
    "functional keras.Model": ("_run_through_graph",),
    "keras.layers.BatchNormalization": ("_moments",),
    "keras.optimizers.Optimizer": (
        "_all_reduce_sum_gradients",
        "_apply_weight_decay",
        "_clip_gradients",
        "_get_variable_index",
        "_use_weight_decay",
    ),
}


def flatten_layers(model: Any, include_self: bool = True) -> list[Any]:
    """Returns all layers of a Keras model, nested ones too."""
    return list(model._flatten_layers(include_self=include_self))


def inner_layers(layer: Any) -> list[Any]:
    """Returns the layers directly inside a Keras layer or model, in the order of attachment."""
    return list(layer._flatten_layers(include_self=False, recursive=False))


def is_functional(layer: Any) -> bool:
    """Returns whether a Keras layer computes a graph of layers, for `run_through_graph`.

    A functional model with a `call` of its own may compute something else.
    """
    if not hasattr(layer, "_run_through_graph"):
        return False
    caller = next(cls for cls in type(layer).__mro__ if "call" in vars(cls))
    return caller.__module__.startswith("keras.src.")


def is_cloning(operation: Any) -> bool:
    """Returns whether `clone_model` passes this operation to `_run_through_graph`."""
    return getattr(operation, "__module__", None) == "keras.src.models.cloning"


def construct_clones(model_class: Any) -> None:
    """Makes `clone_model` build the clone of a functional subclass by its constructor.

    It does so where the constructor has the signature of a functional model's; otherwise the clone
    is of the class Functional. The signature of the class itself stays.
    """
    if "__init__" not in vars(model_class):
        return
    parameters = list(inspect.signature(model_class.__init__).parameters.values())
    if "__signature__" not in vars(model_class):
        model_class.__signature__ = inspect.Signature(parameters[1:])
    # As `inspect` sees that of Functional, which a decorator wraps.
    arguments = [
        inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
        inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
    ]
    model_class.__init__.__signature__ = inspect.Signature([parameters[0], *arguments])


def run_through_graph(model: Any, inputs: Any, operation: Callable[[Any], Any]) -> Any:
    """Runs the graph of a functional Keras model; `operation` returns how to run each layer."""
    return model._run_through_graph(inputs, operation_fn=operation)


def update_metrics(model: Any, labels: Any, outputs: Any, counted: Any, sample_weight: Any) -> None:
    """Updates the compiled metrics of a Keras model with one output, on one batch.

    `counted` weighs the clips in `metrics`, where Keras does not; `sample_weight` in
    `weighted_metrics`.
    """
    compiled = model._compile_metrics
    if compiled is None:
        return
    if not compiled.built:
        compiled.build(labels, outputs)
    for metrics in compiled._flat_metrics:
        if metrics is not None:
            metrics.update_state(labels, outputs, sample_weight=counted)
    for metrics in compiled._flat_weighted_metrics:
        if metrics is not None:
            metrics.update_state(labels, outputs, sample_weight=sample_weight)


def batch_spec(iterator: Any) -> Any | None:
    """Returns the `tf.TensorSpec`s of a Keras iterator over a `tf.data.Dataset`, or None."""
    import tensorflow as tf
    from keras.src.trainers.data_adapters.tf_dataset_adapter import TFDatasetAdapter

    adapter = iterator.data_adapter
    dataset = adapter.get_tf_dataset() if isinstance(adapter, TFDatasetAdapter) else None
    return dataset.element_spec if isinstance(dataset, tf.data.Dataset) else None


@contextlib.contextmanager
def masked_outputs(outputs: Any, mask: Any) -> Iterator[None]:
    """Makes Keras's losses of these outputs leave out the clips that are False in a mask."""
    import keras
    from keras.src.backend.common.masking import get_keras_mask, set_keras_mask

    tensors = keras.tree.flatten(outputs)
    before = [get_keras_mask(tensor) for tensor in tensors]
    try:
        for tensor, own in zip(tensors, before, strict=True):
            set_keras_mask(tensor, mask if own is None else keras.ops.logical_and(mask, own))
        yield
    finally:
        for tensor, own in zip(tensors, before, strict=True):
            set_keras_mask(tensor, own)


def output_specs(function: Callable[..., Any], *shapes: Any) -> Any:
    """Returns the nest of `keras.KerasTensor` that a function of float32 tensors returns.

    Nothing is computed. `keras.Operation.compute_output_spec` hides errors of the function.
    """
    import keras
    from keras.src.backend import compute_output_spec

    return compute_output_spec(function, *map(keras.KerasTensor, shapes))


def operation_name(operation: Any) -> str | None:
    """Returns the class name of a function of `keras.ops`, such as `"Add"`; None for layers."""
    cls = type(operation)
    return cls.__name__ if cls.__module__.startswith("keras.src.ops.") else None


_FLOAT32 = threading.RLock()


@contextlib.contextmanager
def computing_in_float32(model: Any) -> Iterator[None]:
    """Makes all layers of a Keras model compute in float32, whatever their dtype policies.

    Variables of another float type are cast when they are read, as are inputs of models in the
    model. One thread does so at a time: another one would take these policies for the layers' own.
    """
    with _FLOAT32, _float32_policies(model):
        yield


@contextlib.contextmanager
def _float32_policies(model: Any) -> Iterator[None]:
    import keras
    from keras.src.backend.common.variables import AutocastScope

    others = ("float64", "float16", "bfloat16")
    layers = flatten_layers(model)
    casting = [layer for layer in layers if layer.compute_dtype in others]
    policies = [layer._dtype_policy for layer in casting]
    graphs = [layer for layer in layers if isinstance(layer, keras.Model) and layer.built]
    inputs: list[Any] = [x for graph in graphs for x in graph.inputs or ()]
    inputs += [layer for layer in layers if isinstance(layer, keras.layers.InputLayer)]
    inputs = [x for x in inputs if x.dtype in others]
    types = [x.dtype for x in inputs]
    if not casting and not inputs:
        yield
        return
    try:
        for layer, policy in zip(casting, policies, strict=True):
            is_map = isinstance(policy, keras.dtype_policies.DTypePolicyMap)
            layer._dtype_policy = _float32_policy(policy[layer.path] if is_map else policy)
        for x in inputs:
            x._dtype = "float32"
        with AutocastScope("float32"):
            yield
    finally:
        for layer, policy in zip(casting, policies, strict=True):
            layer._dtype_policy = policy
        for x, dtype in zip(inputs, types, strict=True):
            x._dtype = dtype


def _float32_policy(policy: Any) -> Any:
    import keras

    config = policy.get_config()
    if "source_name" in config:  # of a quantized layer
        return type(policy).from_config({**config, "source_name": "float32"})
    return keras.DTypePolicy("float32")


def averaged_weights(optimizer: Any) -> list[tuple[Any, Any]]:
    """Returns the trained variables of a Keras optimizer, each with its moving average or None."""
    pairs = zip(
        optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True
    )
    return list(pairs)


def identity_with_gradient(tensors: list[Any], gradient: Callable[..., list[Any]]) -> list[Any]:
    """Returns the same tensors of the TensorFlow graph that is being traced, with a gradient.

    The graph keeps it. It maps the gradients of the results to those of `tensors`, or None.
    """
    import tensorflow as tf
    from tensorflow.python.eager import record

    def of_operation(operation: Any, *upstream: Any) -> list[Any]:
        return gradient(*upstream)

    graph = tf.compat.v1.get_default_graph()
    with graph._override_gradient_function({"IdentityN": of_operation}):
        outputs = tf.identity_n(tensors)
    record.record_operation("IdentityN", outputs, tensors, gradient)  # for gradient tapes
    return list(outputs)


def forget_gradients(graph: Any) -> None:
    """Lets a TensorFlow graph that no one differentiates be collected.

    Registered gradients, such as that of `tf.nn.silu`, refer to the graph.
    """
    from tensorflow.python.framework import ops

    for operation in graph.get_operations():
        if operation.type == "IdentityN" and "_gradient_op_type" in operation.node_def.attr:
            name = operation.node_def.attr["_gradient_op_type"].s.decode()
            if name.startswith("CustomGradient-"):
                ops.gradient_registry._registry.pop(name, None)


def session_callable(session: Any, inputs: Any, outputs: Any) -> Callable[..., Any]:
    """Returns a function that runs a signature, `TensorInfo`s by name, in a TensorFlow session.

    `Session.run` would check shapes in Python, which TF Serving leaves to the graph.
    """
    from tensorflow.core.protobuf import config_pb2

    feeds, fetches = ([info.name for info in side.values()] for side in (inputs, outputs))
    call: Callable[..., Any] = session._make_callable_from_options(
        config_pb2.CallableOptions(feed=feeds, fetch=fetches)
    )
    return call


def only_calibrate(converter: Any) -> None:
    """Makes a `tf.lite.TFLiteConverter` stop after calibration, before quantization."""
    converter._experimental_calibrate_only = True


def quantizer_functions() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Returns `mlir_quantize` and `modify_model_io_type` of TensorFlow's converter.

    The first one gives the weights of a dense layer one scale. Newer versions of TensorFlow would
    give them one per row, with the operator version of before, so old runtimes would not refuse it.

    Raises:
        MissingPackageError: if this version of TensorFlow does not have them.
    """
    try:
        from tensorflow.lite.python.convert import mlir_quantize
        from tensorflow.lite.python.util import modify_model_io_type
    except ImportError as error:
        first, last = TENSORFLOW_VERSIONS
        raise MissingPackageError(
            f"`quantization` int8 needs parts of TensorFlow {first} to {last} that this version "
            f"does not have: pip install tensorflow=={last}, or use dynamic. Received: {error}"
        ) from error
    if _ONE_DENSE_SCALE in inspect.signature(mlir_quantize).parameters:
        mlir_quantize = functools.partial(mlir_quantize, **{_ONE_DENSE_SCALE: True})
    return mlir_quantize, modify_model_io_type


def interpreter_operations(interpreter: Any) -> list[dict[str, Any]]:
    """Returns the operations of the file in a `tf.lite.Interpreter`, with their tensors."""
    operations: list[dict[str, Any]] = interpreter._get_ops_details()
    return operations
