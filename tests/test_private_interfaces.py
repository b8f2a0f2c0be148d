"""Private interfaces of Keras and TensorFlow are used in one module, and exist."""

import ast
import pathlib

import keras
import tensorflow as tf

import keras_t3d
from keras_t3d import private_interfaces

PACKAGE = pathlib.Path(keras_t3d.__file__).parent
PRIVATE_MODULES = ("keras.src", "tensorflow.lite", "tensorflow.python")
# Private names of other libraries.
OTHERS = {"_SubParsersAction", "_actions", "_exit", "_getframe", "_replace", "_typehint"}


def private_names(path):
    """Returns names that a module defines, and private attributes that it reads."""
    defined, read = set(), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            defined.add(node.id)
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            is_own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if is_own and isinstance(node.ctx, ast.Store):
                defined.add(node.attr)
            elif not node.attr.startswith("__"):
                read.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PRIVATE_MODULES):
            read.add(node.module)
    return defined, read


def test_no_other_module_uses_private_interfaces():
    modules = {path: private_names(path) for path in PACKAGE.rglob("*.py")}
    defined = set().union(*(names for names, _ in modules.values()))
    overridden = {name for names in private_interfaces.OVERRIDDEN.values() for name in names}
    own = PACKAGE / "private_interfaces.py"
    undeclared = {
        str(path.relative_to(PACKAGE)): names
        for path, (_, read) in modules.items()
        if path != own and (names := read - defined - overridden - OTHERS)
    }
    assert undeclared == {}


def test_overridden_methods_exist():
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    objects = {
        "keras.Model": model,
        "functional keras.Model": keras.Model(model.inputs, model.outputs),
        "keras.layers.BatchNormalization": keras.layers.BatchNormalization(),
        "keras.optimizers.Optimizer": keras.optimizers.SGD(0.1),
    }
    missing = {
        name: [attribute for attribute in attributes if not hasattr(objects[name], attribute)]
        for name, attributes in private_interfaces.OVERRIDDEN.items()
        if name in objects
    }
    assert not any(missing.values()), missing


def test_the_interfaces_exist():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    assert private_interfaces.is_functional(model)
    assert model.layers[1] in private_interfaces.flatten_layers(model, include_self=False)
    output = private_interfaces.run_through_graph(
        model, keras.ops.ones((1, 2)), lambda layer: layer
    )
    assert tuple(output.shape) == (1, 1)
    seen = []

    class Noted(keras.Model):
        def _run_through_graph(self, inputs, *args, **kwargs):
            seen.append(private_interfaces.is_cloning(kwargs.get("operation_fn")))
            return super()._run_through_graph(inputs, *args, **kwargs)

    keras.models.clone_model(Noted(inputs, model.outputs[0]))(keras.ops.ones((1, 2)))
    assert (True in seen, seen[-1]) == (True, False)  # when it is cloned, and when it is called
    total = keras.Model(inputs, inputs + 1.0)
    names = [private_interfaces.operation_name(each) for each in total.operations]
    assert names == [None, "Add"]
    optimizer = keras.optimizers.SGD(0.1, use_ema=True)
    optimizer.build(model.trainable_variables)
    assert len(private_interfaces.averaged_weights(optimizer)) == 2
    with tf.Graph().as_default():
        x = tf.constant([1.0])
        (y,) = private_interfaces.identity_with_gradient([x], lambda upstream: [3 * upstream])
        (gradient,) = tf.gradients(y, x)
        assert tf.get_static_value(gradient) is not None or gradient.op.type == "Mul"
    assert all(callable(function) for function in private_interfaces.quantizer_functions())
