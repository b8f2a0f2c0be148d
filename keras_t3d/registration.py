"""Registers this package's classes with `keras.saving.load_model`, without importing Keras.

Keras finds custom classes only after their modules were imported. Importing them here would load a
deep-learning backend into every process that imports keras_t3d, such as `keras-t3d --help` and each
conversion worker. Therefore the classes are imported right after Keras itself.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType


def register_with_keras() -> None:
    """Imports the Keras classes now if Keras is loaded, else as soon as it is."""
    if "keras" in sys.modules:
        importlib.import_module("keras_t3d.models")
    else:
        sys.meta_path.insert(0, _AfterKeras())


class _AfterKeras(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("keras")
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_then_register(module: ModuleType) -> None:
            execute(module)
            importlib.import_module("keras_t3d.models")

        spec.loader.exec_module = execute_then_register  # type: ignore[method-assign]
        return spec
