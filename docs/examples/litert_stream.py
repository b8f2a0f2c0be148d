"""Classifies a video as it plays; needs only: pip install ai-edge-litert av numpy pillow.

python litert_stream.py stream.tflite video.mp4
"""

import json
import sys
import zipfile

import av
import numpy as np
from ai_edge_litert.interpreter import Interpreter

model, video = sys.argv[1:]
with zipfile.ZipFile(model) as files:  # appended to the model
    names = files.read("labels.txt").decode().splitlines()
    spec = json.loads(files.read("clip_spec.json"))
step = Interpreter(model).get_signature_runner()
inputs = step.get_input_details()
_, count, height, width, _ = inputs.pop("frames")["shape"]


def view(frame: av.VideoFrame) -> np.ndarray:
    image = frame.to_image()
    scale = spec["resize"] / min(image.size)
    image = image.resize([round(side * scale) for side in image.size], 2)  # bilinear
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return np.asarray(image.crop((left, top, left + width, top + height)))


# The stream: the state starts as zeros, and each step returns the next one.
state = {n: np.full(d["shape"], d["quantization"][1], d["dtype"]) for n, d in inputs.items()}
held = []
with av.open(video) as container:
    for number, frame in enumerate(container.decode(video=0)):
        if number % spec["frame_stride"] == 0:
            held.append(view(frame))
        if len(held) == count:
            state = step(frames=np.stack(held)[None], **state)
            (scores,), held = state.pop("probabilities"), []
            print(f"{frame.time:8.2f} s  {scores.max():6.1%}  {names[scores.argmax()]}")
