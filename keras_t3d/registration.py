"""Makes this package's classes known to `keras.saving.load_model`, without importing Keras.

Keras finds a custom class only in its registry of custom objects, which is filled when the class
is defined. Importing the classes here would load a deep-learning backend into every process that
imports keras_t3d, such as `keras-t3d --help` and each conversion worker. Therefore, as soon as
Keras is loaded, each class gets an importer in the registry, which runs when the class is needed.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

PACKAGE = "keras_t3d"  # as in register_keras_serializable(package=...)
_REGISTRY = "keras.saving"  # public, and part of what `import keras` loads

# The module that defines each registered class.
CLASSES = {
    "BasicBlock3D": "layers.residual_block",
    "BottleneckBlock3D": "layers.residual_block",
    "ClipBatchNormalization": "layers.batch_normalization",
    "ClipConv3D": "layers.convolution",
    "ClipMaxPooling3D": "layers.max_pooling",
    "ClipNormalization": "layers.clip_normalization",
    "CrossEntropy": "optimization.cross_entropy",
    "DenseBlock3D": "layers.dense_block",
    "DenseNet3D": "models.densenet3d",
    "DepthwiseTemporalTransition": "layers.depthwise_transition",
    "FactorizedConv3D": "layers.factorized_convolution",
    "GlobalDeviationPooling3D": "layers.deviation_pooling",
    "InvertedResidualBlock3D": "layers.inverted_residual",
    "MeanClassAccuracy": "optimization.mean_class_accuracy",
    "NormalizedConv3D": "layers.normalized_convolution",
    "ResNet3D": "models.resnet3d",
    "SpatioTemporalChannelCorrelation": "layers.channel_correlation",
    "Stem3D": "layers.stem",
    "T3D": "models.t3d",
    "T3DLite": "models.t3d_lite",
    "TemporalTransition": "layers.temporal_transition",
    "VideoClassifier": "models.video_classifier",
    "WarmUp": "optimization.schedules",
}


def register_with_keras() -> None:
    """Registers an importer of each class now if Keras is loaded, else as soon as it is."""
    # The finder stays for good: looking Keras up does not import it, and removing a finder while
    # another thread imports would make that thread skip the next one. It comes first, so that no
    # thread can load the registry between the two.
    sys.meta_path.insert(0, _RegistryFinder())
    if sys.modules.get("keras") is not None:
        _register(importlib.import_module(_REGISTRY))


def _register(registry: ModuleType) -> None:
    known = registry.get_custom_objects()
    for name in CLASSES:
        known.setdefault(f"{PACKAGE}>{name}", _importer_of(name))


def _importer_of(name: str) -> type:
    """Returns a class that imports the class of a name to build an object of it."""

    def from_config(config: dict[str, Any]) -> Any:
        return _import_class(name).from_config(config)

    return type(name, (), {"from_config": staticmethod(from_config)})


def _import_class(name: str) -> Any:
    return getattr(importlib.import_module(f"{PACKAGE}.{CLASSES[name]}"), name)


class _RegistryFinder(importlib.abc.MetaPathFinder):
    """Finds the module of Keras's registry as the finders after it do, with another loader."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != _REGISTRY:
            return None
        others = sys.meta_path[sys.meta_path.index(self) + 1 :]
        for finder in others:
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _RegisteringLoader(spec.loader)
                return spec
        return None


class _RegisteringLoader(importlib.abc.Loader):
    """Loads a module with another loader, then registers the importers in it."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        _register(module)
