"""What a network answers on the backend that Keras runs on; a program too, for the others.

```
KERAS_BACKEND=jax python -m tests.backends.answers FOLDER
```

reads every `.keras` file of the folder and `clips.npz`, and writes `NAME.BACKEND.npz` beside.
"""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import keras
import numpy as np

import keras_t3d  # noqa: F401  (its classes)


def answers(path: pathlib.Path, clips: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Logits in inference, and losses and weights of two steps of training.

    The steps are taken twice, without and with gradient rematerialisation.
    """
    model = keras.saving.load_model(path)
    weights = model.get_weights()
    again = type(model).from_config({**model.get_config(), "rematerialize": True})
    found = {}
    for name, network in (("kept", model), ("rematerialized", again)):
        network.set_weights(weights)
        network.compile(
            keras.optimizers.SGD(0.01),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            # Nothing to gain from XLA here; JAX has no other way to be fast.
            jit_compile=keras.backend.backend() == "jax",
        )
        if network is model:
            found["logits"] = network.predict_on_batch(clips)
        found[f"losses_{name}"] = np.array(
            [network.train_on_batch(clips, labels) for _ in range(2)], "float64"
        )
        found[f"weights_{name}"] = np.concatenate([w.ravel() for w in network.get_weights()])
    return found


def main(folder: pathlib.Path) -> None:
    with np.load(folder / "clips.npz") as file:
        clips, labels = file["clips"], file["labels"]
    for path in sorted(folder.glob("*.keras")):
        found = answers(path, clips, labels)
        np.savez(path.with_suffix(f".{keras.backend.backend()}.npz"), **found)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
