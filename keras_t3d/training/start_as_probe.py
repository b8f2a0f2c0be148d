"""Training that starts as a linear classifier on the features that the network starts with."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import warnings

from keras_t3d.atomic import written_durably
from keras_t3d.errors import KerasT3DWarning
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.training import run_directory
from keras_t3d.training.clips import validation_split
from keras_t3d.training.config import TrainConfig
from keras_t3d.training.linear_head import clip_features, fit_head
from keras_t3d.training.probe import accuracy
from keras_t3d.training.run import RunSetup


class ProbeWarning(KerasT3DWarning):
    """Training made the network no better than it was with a fitted classifying layer alone."""


def start_as_probe(network: VideoClassifier, config: TrainConfig, setup: RunSetup) -> None:
    """Fits the classifying layer, and writes probe.keras and probe.json.

    Args:
        network: the network to train, in place.
        config: configuration of the run.
        setup: folder, shards and devices of the run.
    """
    shards, folder = setup.shards, setup.folder
    print("Fitting the classifying layer to the features that the network starts with.")
    fit_head(network, *clip_features(network, shards, config.data.train_split))
    split = validation_split(config, shards)
    report = None if split is None else accuracy(network, shards, split)
    if not setup.devices.is_chief:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with written_durably(folder / run_directory.PROBE) as part:
        network.save(part)
    if report is not None:
        print(f"Probe: {report}")
        with written_durably(_facts(folder)) as part:
            part.write_text(json.dumps(dataclasses.asdict(report), indent=1) + "\n", "utf-8")


def compare_with_probe(folder: str | os.PathLike[str]) -> None:
    """Prints the probe's accuracy beside that of best.keras, if the run started as a probe.

    Warns:
        ProbeWarning: if the probe is better.
    """
    best = (pathlib.Path(folder) / run_directory.BEST).with_suffix(".json")
    if not _facts(folder).is_file() or not best.is_file():
        return
    probe = json.loads(_facts(folder).read_text(encoding="utf-8"))
    top1 = json.loads(best.read_text(encoding="utf-8")).get("val_top1")
    if top1 is None:
        return
    path = os.path.join(folder, run_directory.PROBE)
    # Whole videos: the two shares may be rounded differently.
    gained = round((top1 - probe["top1"]) * probe["videos"])
    direction = "better" if gained > 0 else "worse"
    verdict = f"{abs(gained)} of {probe['videos']} videos {direction}" if gained else "equal"
    print(
        f"val_top1 before training, with a fitted classifying layer: {probe['top1']:.4f}, {path}; "
        f"after: {top1:.4f}, {verdict}"
    )
    if gained < 0:
        warnings.warn(
            f"Training did not help: {path} has val_top1 {probe['top1']:.4f}, best.keras "
            f"{top1:.4f}. Use {path}, or train with a lower `optimizer.learning_rate`",
            ProbeWarning,
            stacklevel=2,
        )


def _facts(folder: str | os.PathLike[str]) -> pathlib.Path:
    return (pathlib.Path(folder) / run_directory.PROBE).with_suffix(".json")
