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

import keras_t3d  # noqa: F401  (registers its classes)


def compute_outputs(
    path: pathlib.Path, clips: np.ndarray, labels: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns logits of inference, and losses and weights after two training steps.

    The steps run twice, without and with gradient rematerialization.
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
            # XLA compiles longer than these steps run; JAX has no other way to be fast.
            jit_compile=keras.backend.backend() == "jax",
        )
        if network is model:
            outputs["logits"] = network.predict_on_batch(clips)
        outputs[f"losses_{name}"] = np.array(
            [network.train_on_batch(clips, labels) for _ in range(2)], "float64"
        )
        outputs[f"weights_{name}"] = np.concatenate([w.ravel() for w in network.get_weights()])
    return outputs


def main(folder: pathlib.Path) -> None:
    with np.load(folder / "clips.npz") as file:
        clips, labels = file["clips"], file["labels"]
    for path in sorted(folder.glob("*.keras")):
        outputs = compute_outputs(path, clips, labels)
        np.savez(path.with_suffix(f".{keras.backend.backend()}.npz"), **outputs)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
