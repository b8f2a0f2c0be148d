"""Computes logits, losses, and trained weights of networks on the backend that Keras runs on.

```
KERAS_BACKEND=jax python -m tests.backends.outputs FOLDER
```

reads every `.keras` file of the folder and `clips.npz`, and writes `NAME.BACKEND.npz` beside.
"""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import keras
import numpy as np

from keras_t3d.clips.padded_labels import padded_labels
from keras_t3d.inference.keras_predictor import KerasPredictor
from tests.threads import in_threads


def compute_outputs(
    path: pathlib.Path, clips: np.ndarray, labels: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns outputs of inference, and losses and weights after two training steps.

    The steps run twice, without and with gradient rematerialization. `"evaluated"` is the loss and
    the accuracy on all clips but the last, and on a padded batch of them.
    """
    model = keras.saving.load_model(path)
    weights = model.get_weights()
    again = type(model).from_config({**model.get_config(), "rematerialize": True})
    outputs: dict[str, Any] = {}
    for name, network in (("kept", model), ("rematerialized", again)):
        network.set_weights(weights)
        network.compile(
            keras.optimizers.SGD(0.01),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            # XLA compiles longer than these steps run; JAX has no other way to be fast.
            jit_compile=keras.backend.backend() == "jax",
        )
        if network is model:
            outputs["logits"] = network.predict_on_batch(clips)
            outputs["probabilities"] = probabilities_in_threads(network, clips)
            is_real = (np.arange(len(clips)) < len(clips) - 1).astype("float32")
            padded = padded_labels(labels, is_real)
            outputs["evaluated"] = np.array(
                [
                    network.test_on_batch(clips[:-1], labels[:-1]),
                    network.evaluate((batch for batch in [(clips, padded)]), verbose=0),
                ],
                "float64",
            )
        outputs[f"losses_{name}"] = np.array(
            [network.train_on_batch(clips, labels)[0] for _ in range(2)], "float64"
        )
        outputs[f"weights_{name}"] = np.concatenate([w.ravel() for w in network.get_weights()])
    return outputs


def probabilities_in_threads(network: Any, clips: np.ndarray) -> np.ndarray:
    """Returns the probabilities that four threads get: (threads, rounds, clips, classes)."""
    predictor = KerasPredictor(network)
    answers = np.zeros((4, 5, len(clips), network.num_classes))

    def ask(thread: int) -> None:
        for number in range(5):
            for clip in np.roll(np.arange(len(clips)), thread + number):
                answers[thread, number, clip] = predictor.probabilities(clips[clip : clip + 1])[0]

    errors = in_threads(ask)
    if errors:
        raise errors[0]
    return answers


def main(folder: pathlib.Path) -> None:
    with np.load(folder / "clips.npz") as file:
        clips, labels = file["clips"], file["labels"]
    for path in sorted(folder.glob("*.keras")):
        outputs = compute_outputs(path, clips, labels)
        np.savez(path.with_suffix(f".{keras.backend.backend()}.npz"), **outputs)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
