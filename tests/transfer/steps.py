"""Teaches a few steps on some devices; run by tests in a process of its own.

`python -m tests.transfer.steps DEVICES OUT FrameClipMatching VALIDATED`, with either backend;
VALIDATED is how many clips it is validated on, of 16.
"""

import json
import sys

import numpy as np

BATCH = 8


def main(devices, out, objective, validated):
    from tests.optimization.steps import assert_replicas_agree, batches, scope_of

    scope = scope_of(devices)
    import keras

    from keras_t3d import transfer
    from keras_t3d.optimization import make_optimizer, synchronize_batch_norms
    from tests.transfer.pairs import CLIP, tiny_student, tiny_teacher

    with scope():
        teacher, student = tiny_teacher(), tiny_student()
        synchronize_batch_norms(student)
        learner = getattr(transfer, objective)(teacher, student, accumulation=2)
        for index, variable in enumerate(learner.checkpointed_variables):
            if len(variable.shape) > 1:  # the same on every backend
                rng = np.random.default_rng(index)
                scale = np.prod(variable.shape[:-1]) ** -0.5
                variable.assign(rng.normal(0, scale, variable.shape))
        learner.compile(make_optimizer("SGD", 0.05, momentum=0.9, global_clipnorm=0.5))
    rng = np.random.default_rng(0)
    # Of some videos more than one clip, on the two devices and on each.
    videos = np.array([1, 1, 2, 3, 4, 1, 5, 6, 7, 8, 9, 9, 8, 10, -1, -1], np.int32)
    inputs = {"clips": rng.integers(0, 256, (len(videos), *CLIP)).astype("uint8"), "videos": videos}
    history = learner.fit(
        batches(inputs),
        epochs=2,
        steps_per_epoch=2,
        validation_data=batches({name: values[:validated] for name, values in inputs.items()}),
        validation_steps=2,
        shuffle=False,
        verbose=0,
    ).history
    if keras.backend.backend() == "tensorflow":
        assert_replicas_agree(student)
    weights = learner.checkpointed_variables
    arrays = {f"w{n}": keras.ops.convert_to_numpy(v) for n, v in enumerate(weights)}
    np.savez(out, history=json.dumps(history), **arrays)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
