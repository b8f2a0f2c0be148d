"""Wrong uses of every package, and of the scripts, all of which mypy must find.

Nothing runs this file. `make check` type-checks it and reports an `ignore` on a line without error.
"""

import saved_model
import train

import keras_t3d
import keras_t3d.cli
from keras_t3d import ClipSpec
from keras_t3d.training.network import network_for
from keras_t3d.training.run import prepare_run

ClipSpec(frames=3)  # type: ignore[call-arg]
keras_t3d.clips.no_such_function()  # type: ignore[attr-defined]
keras_t3d.cli.no_such_function()  # type: ignore[attr-defined]
keras_t3d.data.convert(1, 2, nonsense=5)  # type: ignore[arg-type, call-arg]
keras_t3d.data.load_clips("shards", "train").no_such_method()  # type: ignore[call-arg]
keras_t3d.deploy.export_tflite(1, nonsense=5)  # type: ignore[arg-type, call-arg]
keras_t3d.evaluation.score_videos(nonsense=5)  # type: ignore[call-arg]
keras_t3d.inference.predict_video(nonsense=5)  # type: ignore[call-arg]
keras_t3d.layers.no_such_layer()  # type: ignore[attr-defined]
keras_t3d.models.list_models(1, 2, 3, 4)  # type: ignore[call-arg]
keras_t3d.motion_set.no_such_function()  # type: ignore[attr-defined]
keras_t3d.optimization.make_optimizer(nonsense=5)  # type: ignore[call-arg]
keras_t3d.training.TrainConfig().no_such_method()  # type: ignore[attr-defined]
keras_t3d.training.train.no_such_attribute()  # type: ignore[attr-defined]
keras_t3d.transfer.load_teacher(1, nonsense=5)  # type: ignore[arg-type, call-arg]
network_for(1, 2, 3, 4, nonsense=5)  # type: ignore[arg-type, call-arg]
prepare_run("x")  # type: ignore[arg-type, call-arg]
train.no_such_function()  # type: ignore[attr-defined]
saved_model.no_such_function()  # type: ignore[attr-defined]
