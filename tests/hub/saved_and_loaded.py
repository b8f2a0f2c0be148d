"""Saves and loads a model by the address of a Hub, in a process with its environment variables.

```
HF_ENDPOINT=http://127.0.0.1:1234 HF_HOME=folder HF_TOKEN=x python -m tests.hub.saved_and_loaded M
```

prints what it found as JSON. huggingface_hub reads the variables when it is imported.
"""

import json
import sys

import keras
import numpy as np

from keras_t3d.errors import KerasT3DError
from keras_t3d.inference import load_predictor
from keras_t3d.models.load import load_keras_model

ADDRESS = "hf://user/small"


def main(path):
    model = load_keras_model(path)
    model.save(ADDRESS)
    loaded = keras.saving.load_model(ADDRESS)
    clips = np.random.default_rng(0).integers(0, 256, (1, *model.clip_spec.input_shape), np.uint8)
    expected = load_predictor(model).probabilities(clips)
    found = load_predictor(ADDRESS).probabilities(clips)
    try:
        load_keras_model("hf://user/none")
        refusal = ""
    except KerasT3DError as error:
        refusal = str(error)
    return {
        "class": type(loaded).__name__,
        "class_names": loaded.class_names,
        "same_clip_spec": loaded.clip_spec == model.clip_spec,
        "difference": float(np.abs(found - expected).max()),
        "refusal": refusal,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
