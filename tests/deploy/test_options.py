"""The registry of export targets: what the command derives its subcommands from."""

import dataclasses
import importlib
import inspect

import pytest

from keras_t3d.deploy import EXPORT_TARGETS


@pytest.mark.parametrize("target", EXPORT_TARGETS.values(), ids=list(EXPORT_TARGETS))
def test_a_target_has_a_function_and_describes_its_options(target):
    module, _, name = target.function.partition(":")
    function = getattr(importlib.import_module(module), name)
    assert len(inspect.signature(function).parameters) == 5
    documented = "".join(inspect.getdoc(cls) or "" for cls in target.options.__mro__)
    for option in dataclasses.fields(target.options):
        assert f"{option.name}: " in documented
    assert target.options() == target.options()  # defaults are valid


def test_targets_are_named_as_subcommands():
    assert list(EXPORT_TARGETS) == ["saved-model", "tflite", "openvino", "onnx"]
    assert all(name == target.name for name, target in EXPORT_TARGETS.items())
