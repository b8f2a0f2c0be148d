"""Published 2D networks of `keras.applications`, as `weights="imagenet"` of 3D networks."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from keras_t3d.models.published_weights import PublishedImageNetwork
from keras_t3d.models.weight_names import ImageSource
from keras_t3d.weights.fetching import DownloadError, PublishedFile, advice, find_local

_SERVER = "https://storage.googleapis.com/tensorflow/keras-applications"
# MD5 of the files without the classifying layer, which keras.applications checks.
_FILES = {
    "DenseNet121": ("densenet/densenet121", "30ee3e1110167f948a6b9946edeeb738"),
    "DenseNet169": ("densenet/densenet169", "b8c4d4c20dd625c148057b9ff1c1176b"),
    "DenseNet201": ("densenet/densenet201", "c13680b51ded0fb44dff2d8f86ac8bb1"),
    "ResNet50": ("resnet/resnet50", "4d473c1dd8becc155b73f8504c6f6626"),
    "ResNet101": ("resnet/resnet101", "88cf7a10940856eca736dc7b7e228a21"),
    "ResNet152": ("resnet/resnet152", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
}


def imagenet_of(application: str, source: ImageSource) -> PublishedImageNetwork:
    """Returns the ImageNet weights of a network of `keras.applications`.

    Args:
        application: name of the network there, such as `"DenseNet121"`.
        source: names of its layers, and its pixels.
    """
    path, md5 = _FILES[application]
    is_densenet = application.startswith("DenseNet")
    return PublishedImageNetwork(
        name="imagenet",
        file=PublishedFile(
            f"{_SERVER}/{path}_weights_tf_dim_ordering_tf_kernels_notop.h5", md5=md5
        ),
        license="BSD-3-Clause" if is_densenet else "MIT",
        authors=(
            f"{'Huang et al.' if is_densenet else 'He et al.'}, converted by keras.applications"
        ),
        dataset="ImageNet (ILSVRC 2012)",
        preprocessing=(
            "224 x 224, RGB, 0..1, minus the mean, divided by the standard deviation"
            if is_densenet
            else "224 x 224, 0..255, minus the mean, not divided"
        ),
        source=source,
        load=_loader(application),
    )


def _loader(application: str) -> Callable[[PublishedFile], Any]:
    """Returns a function that loads a network of `keras.applications` without its top."""

    def load(file: PublishedFile) -> Any:
        import keras

        local = find_local(file.name)
        weights = "imagenet" if local is None else os.fspath(local)
        try:
            return getattr(keras.applications, application)(include_top=False, weights=weights)
        except Exception as error:  # of many classes
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise DownloadError(
                f"keras.applications cannot load {local or file.url}{advice(file.name)} ({reason})"
            ) from error

    return load
