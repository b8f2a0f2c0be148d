"""Options that every network family has, and checks of options that several have."""

from __future__ import annotations

import dataclasses
import errno
import functools
import inspect
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypedDict

import keras
from keras import layers

from keras_t3d.clips import ClipSpec
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers.arguments import whole_number
from keras_t3d.layers.clip_normalization import ClipNormalization
from keras_t3d.layers.deviation_pooling import GlobalDeviationPooling3D
from keras_t3d.layers.precision import exact_dtype
from keras_t3d.models.class_names import listed_class_names
from keras_t3d.models.option_checks import checked_clip_spec, checked_input_shape

EMBEDDING = "embedding"  # name of the layer whose output the classifying layer reads
_CHANNELS_LAST = {"data_format": "channels_last"}
POOLINGS: dict[str, Callable[..., Any]] = {
    "avg": functools.partial(layers.GlobalAveragePooling3D, **_CHANNELS_LAST),
    "max": functools.partial(layers.GlobalMaxPooling3D, **_CHANNELS_LAST),
    "avg_deviation": GlobalDeviationPooling3D,
}


class ClassifierArguments(TypedDict, total=False):
    """Keyword arguments of `ClassifierOptions`, for type checkers."""

    dropout: float
    include_top: bool
    pooling: str | None
    causal: bool
    weights: str | os.PathLike[str] | None
    clip_spec: ClipSpec | None
    class_names: Iterable[str] | None
    name: str | None
    dtype: Any


@dataclasses.dataclass
class ClassifierOptions:
    """Options that every network family has.

    Args:
        input_shape: (frames, height, width, 3), or the same after a batch dimension of None.
        num_classes: number of classes; None with `include_top=False`.
        dropout: rate before the classifying layer, from 0 and below 1.
        include_top: whether the network ends in logits, or in features.
        pooling: `"avg"` or `"max"` over time and space, or `"avg_deviation"`, which adds the
            deviations over time, see `GlobalDeviationPooling3D`; with `include_top=False` also
            None, which returns the feature map.
        causal: whether no layer reads a later frame, as a stream needs it (`keras_t3d.streaming`):
            convolutions and pools pad time before the clip only, and deviations over time are those
            from the mean so far. The weights are the same: a causal network can start from those of
            a network that is not causal. STC blocks read the mean of the frames so far.
        weights: path of a `.keras` model or of a `.weights.h5` file to start from; for named
            networks, also the name of published weights, see `keras_t3d.models.list_weights`. The
            classifying layer of a `.keras` model with other classes is not loaded; without
            `class_names` and `clip_spec`, its class names, mean, std and frame stride are taken
            over. PyTorch checkpoints need `keras_t3d.transfer.import_weights`.
        clip_spec: ClipSpec of that input shape; None derives it from `input_shape`.
        class_names: one name per class; None names them `"class_0"`, `"class_1"`, ...
        name: name of the model.
        dtype: dtype policy, such as `"mixed_bfloat16"`; logits stay float32. None takes
            Keras's global dtype policy if one was set, else float32.
    """

    input_shape: Sequence[int | None]
    num_classes: int | None = None
    dropout: float = 0.0
    include_top: bool = True
    pooling: str | None = "avg"
    causal: bool = False
    weights: str | os.PathLike[str] | None = None
    clip_spec: ClipSpec | None = None
    class_names: Iterable[str] | None = None
    name: str | None = None
    dtype: Any = None

    def __post_init__(self) -> None:
        # A DTypePolicyMap without entries is false.
        self.dtype = keras.dtype_policies.get(
            _global_policy() if self.dtype is None else self.dtype
        )
        self.input_shape = checked_input_shape(self.input_shape)
        self.class_names = listed_class_names(self.class_names)
        self._check_head()
        self.start = None if self.weights is None else _load_start(self.weights)
        if self.start is not None:
            self._take_over(self.start)
        self.clip_spec = checked_clip_spec(self.clip_spec, self.input_shape)

    def _check_head(self) -> None:
        if self.include_top and self.num_classes is None:
            raise InvalidArgumentError(
                "`num_classes` must be the number of classes, for example num_classes=400, unless "
                "include_top=False leaves out the classifying layer. Received: None",
                argument="num_classes",
            )
        if not self.include_top and (self.num_classes is not None or self.class_names):
            raise InvalidArgumentError(
                "`num_classes` and `class_names` belong to the classifying layer, which "
                "include_top=False leaves out: pass one or the other. Received: "
                f"num_classes={self.num_classes}, class_names={self.class_names}",
                argument="num_classes",
            )
        if self.num_classes is not None:
            self.num_classes = whole_number("The network", "num_classes", self.num_classes)
        if self.pooling not in POOLINGS and (self.include_top or self.pooling is not None):
            raise InvalidArgumentError(
                f"`pooling` must be one of {tuple(POOLINGS)}, or None with include_top=False. "
                f"Received: {self.pooling!r}",
                argument="pooling",
            )
        if not 0 <= self.dropout < 1:
            raise InvalidArgumentError(
                f"`dropout` must be from 0 and below 1, for example 0.5. Received: {self.dropout}",
                argument="dropout",
            )

    def _take_over(self, start: Any) -> None:
        if self.clip_spec is None:
            self.clip_spec = dataclasses.replace(
                ClipSpec.for_input_shape(self.input_shape),  # type: ignore[arg-type]
                frame_stride=start.clip_spec.frame_stride,
                mean=start.clip_spec.mean,
                std=start.clip_spec.std,
            )
        if self.class_names is None and self.num_classes == start.num_classes:
            self.class_names = start.class_names

    def open_graph(self) -> tuple[Any, Any]:
        """Returns the input of the network, and the normalized clips."""
        assert self.clip_spec is not None
        # A uint8 input would silently truncate float clips.
        inputs = keras.Input(self.clip_spec.input_shape, name="clips", dtype="float32")
        normalization = ClipNormalization(
            self.clip_spec.mean, self.clip_spec.std, dtype=self.dtype, name="normalization"
        )
        return inputs, normalization(inputs)

    def close_graph(self, x: Any) -> Any:
        """Returns the logits of a feature map, or what `include_top` and `pooling` ask for."""
        dtype = exact_dtype(self.dtype)
        if self.pooling is not None:
            pool = POOLINGS[self.pooling]
            has_causal_form = self.causal and self.pooling == "avg_deviation"
            causal = {"causal": True} if has_causal_form else {}
            x = pool(**causal, dtype=dtype, name=EMBEDDING)(x)
        if not self.include_top:
            return x
        if self.dropout:
            x = layers.Dropout(self.dropout, dtype=dtype, name="dropout")(x)
        return layers.Dense(self.num_classes, dtype=dtype, name="logits")(x)

    def get_config(self) -> dict[str, Any]:
        """Returns the options that the graph follows from, as plain values."""
        return {
            "input_shape": list(self.input_shape),
            "num_classes": self.num_classes,
            "dropout": self.dropout,
            "include_top": self.include_top,
            "pooling": self.pooling,
            "causal": self.causal,
            "dtype": keras.dtype_policies.serialize(self.dtype),
        }


def _global_policy() -> Any:
    """Returns the policy that `keras.config.set_dtype_policy` set, else float32.

    Without one, Keras takes the float type of keras.json, which must not change a network.
    """
    policy = keras.config.dtype_policy()
    return "float32" if policy.name == keras.config.floatx() else policy


def _load_start(path: str | os.PathLike[str]) -> Any:
    """Returns the model of a `.keras` file, None for a `.weights.h5` file."""
    path = os.fspath(path)
    if path.endswith(".weights.h5"):
        return None
    if not path.endswith(".keras"):
        raise InvalidArgumentError(
            "`weights` must be the path of a .keras model or of a .weights.h5 file, for example "
            "weights='start.keras', or, for named networks, a name of "
            "keras_t3d.models.list_weights; keras_t3d.transfer.import_weights reads PyTorch "
            "checkpoints. "
            f"Received: {path!r}",
            argument="weights",
        )
    if not os.path.isfile(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    start = keras.saving.load_model(path, compile=False)
    if not hasattr(start, "clip_spec"):
        raise InvalidArgumentError(
            f"`weights` must be a model of keras_t3d.models. Received: {path!r}, a "
            f"{type(start).__name__}",
            argument="weights",
        )
    return start


def document_options(cls: type, source: type) -> None:
    """Puts the options of `source` in place of `**options` in a class's signature and docstring."""
    own = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    if not own or own[-1].kind is not inspect.Parameter.VAR_KEYWORD:
        return
    taken = {parameter.name for parameter in own}
    inherited = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(source).parameters.items()
        if name not in taken
    ]
    cls.__signature__ = inspect.Signature([*own[:-1], *inherited])  # type: ignore[attr-defined]
    arguments = (inspect.getdoc(source) or "").partition("Args:\n")[2].partition("\n\n")[0]
    entries = {entry.split(":")[0].strip(): entry for entry in re.split(r"\n(?=    \w)", arguments)}
    described = "\n".join(entries[parameter.name] for parameter in inherited)
    lines = inspect.cleandoc(cls.__doc__ or "").splitlines()
    cls.__doc__ = "\n".join(
        described if line.strip().startswith("**options:") else line for line in lines
    )
