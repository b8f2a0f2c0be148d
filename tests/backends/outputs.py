"""Computes logits, losses, and trained weights of networks on the backend that Keras runs on.

```
KERAS_BACKEND=jax python -m tests.backends.outputs FOLDER
```

reads every `.keras` file of the folder and `clips.npz`, and writes `NAME.BACKEND.npz` beside.
JAX, which compiles a network for long, computes further outputs of T3D alone. No backend trains the
network of the name `causal`: it streams.
"""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import keras
import numpy as np

from keras_t3d.clips.padded_labels import padded_labels
from keras_t3d.evaluation import HeatMaps
from keras_t3d.inference import Stream
from keras_t3d.inference.keras_predictor import KerasPredictor
from keras_t3d.inference.load import load_stream
from tests.threads import in_threads


def compute_outputs(
    path: pathlib.Path, clips: np.ndarray, labels: np.ndarray, further: bool = True
) -> dict[str, np.ndarray]:
    """Returns outputs of inference, and losses and weights after two training steps.

    Further outputs are `"heat"` of the last stage but one; `"probabilities"` in threads;
    `"evaluated"`, the loss and the accuracy on all clips but the last, and on a padded batch of
    them; and, but for TensorFlow, losses and weights of training with gradient rematerialization.
    """
    model = keras.saving.load_model(path)
    weights = model.get_weights()
    compile_for_steps(model)
    outputs: dict[str, Any] = {"logits": model.predict_on_batch(clips)}
    if further:
        outputs["heat"] = HeatMaps(model, list(model.stages)[-2]).compute(clips[0])[1]
        outputs["probabilities"] = probabilities_in_threads(model, clips)
        is_real = (np.arange(len(clips)) < len(clips) - 1).astype("float32")
        padded = padded_labels(labels, is_real)
        outputs["evaluated"] = np.array(
            [
                model.test_on_batch(clips[:-1], labels[:-1]),
                model.evaluate((batch for batch in [(clips, padded)]), verbose=0),
            ],
            "float64",
        )
    outputs |= trained(model, clips, labels, "kept")
    if further and keras.backend.backend() != "tensorflow":
        again = type(model).from_config({**model.get_config(), "rematerialize": True})
        again.set_weights(weights)
        compile_for_steps(again)
        outputs |= trained(again, clips, labels, "rematerialized")
    return outputs


def stream_outputs(path: pathlib.Path, clips: np.ndarray) -> dict[str, np.ndarray]:
    """Returns outputs of clips, answers of a stream, and whether its state holds gradients."""
    model = keras.saving.load_model(path)
    predictor = load_stream(model)
    stream, run = Stream(predictor), predictor.steps
    answers = [stream.push(frame) for frame in clips[0]]
    _, state = run(clips[:1, : stream.frames_per_step], run.initial_state())
    return {
        "logits": model.predict_on_batch(clips),
        "steps": np.stack([answer for answer in answers if answer is not None]),
        "holds_gradients": np.array([getattr(x, "requires_grad", False) for x in state.values()]),
    }


def compile_for_steps(network: Any) -> None:
    backend = keras.backend.backend()
    network.compile(
        keras.optimizers.SGD(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        # Tracing and compiling take longer than these steps; JAX has no other way to be fast.
        run_eagerly=backend == "tensorflow",
        jit_compile=backend == "jax",
    )


def trained(network: Any, clips: np.ndarray, labels: np.ndarray, way: str) -> dict[str, np.ndarray]:
    losses = [network.train_on_batch(clips, labels)[0] for _ in range(2)]
    return {
        f"losses_{way}": np.array(losses, "float64"),
        f"weights_{way}": np.concatenate([w.ravel() for w in network.get_weights()]),
    }


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
        backend = keras.backend.backend()
        if path.stem == "causal":
            outputs = stream_outputs(path, clips)
        else:
            outputs = compute_outputs(path, clips, labels, backend != "jax" or path.stem == "t3d")
        np.savez(path.with_suffix(f".{backend}.npz"), **outputs)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
