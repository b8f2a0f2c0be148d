"""A network with the weights of a checkpoint, and where they come from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_t3d.models.checkpoint_parts import NetworkPart
from keras_t3d.models.video_classifier import VideoClassifier


@dataclasses.dataclass(frozen=True)
class ImportedWeights:
    """A network with the weights of a checkpoint; `str(imported)` describes it in a few lines.

    Args:
        model: the network.
        checkpoint: path of the file.
        network: name of the network, as in `models.list_models()`.
        options: options that the checkpoint required, such as `{"shortcut": "zero_padding"}`.
        assumed: options that no checkpoint contains and that were not given: those of the
            published checkpoints.
        part: where the network's tensors are in the file, see `NetworkPart`.
        used: names of the tensors that were loaded, without their prefix.
        left_out: tensors of the checkpoint's classifying layer, if it was not loaded.
        checkpoint_classes: number of classes of the checkpoint; None without a classifying layer.
    """

    model: VideoClassifier
    checkpoint: str
    network: str
    options: dict[str, Any]
    assumed: dict[str, Any]
    part: NetworkPart
    used: tuple[str, ...]
    left_out: tuple[str, ...]
    checkpoint_classes: int | None

    def __str__(self) -> str:
        return (
            f"{self.network}{_listed(self.options)}, with {len(self.used)} tensors of "
            f"{self.checkpoint}\n"
            f"Tensors: {self.part}\n"
            f"Classifying layer: {self._head()}\n"
            f"Clips: {self.model.clip_spec}"
            + (f"\nNot in the file, assumed{_listed(self.assumed)}" if self.assumed else "")
        )

    def _head(self) -> str:
        names = self.model.class_names
        if not names:
            return "left out, the network ends in features"
        classes = f"{len(names)} classes, {names[0]!r} to {names[-1]!r}"
        if self.checkpoint_classes is None:
            return f"fresh, the checkpoint has none; {classes}"
        if self.left_out:
            return f"fresh, replaces the checkpoint's {self.checkpoint_classes} classes; {classes}"
        return f"the checkpoint's; {classes}"


def _listed(options: Mapping[str, Any]) -> str:
    return "".join(f", {name}={value!r}" for name, value in options.items())
