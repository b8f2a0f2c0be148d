"""Classifies the centre view of a video; needs only: pip install ai-edge-litert av numpy pillow.

python litert_alone.py t3d.tflite video.mp4
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
resize, stride = spec["resize"], spec["frame_stride"]
classify = Interpreter(model).get_signature_runner()
_, count, height, width, _ = classify.get_input_details()["clip"]["shape"]
with av.open(video) as container:
    total = sum(1 for _ in container.decode(video=0))
first = max((total - stride * (count - 1) - 1) // 2, 0)
wanted = [(first + stride * number) % total for number in range(count)]  # a short video loops
with av.open(video) as container:  # decoded twice: a minute of frames is gigabytes
    decoded = enumerate(container.decode(video=0))
    images = {n: f.to_image().rotate(f.rotation, expand=True) for n, f in decoded if n in wanted}
clip = []
for number in wanted:
    image = images[number]
    scale = resize / min(image.size)
    image = image.resize([round(side * scale) for side in image.size], 2)  # bilinear
    left, top = (image.width - width) // 2, (image.height - height) // 2
    clip.append(np.asarray(image.crop((left, top, left + width, top + height))))
(scores,) = classify(clip=np.stack(clip)[None])["probabilities"]
if scores.dtype == np.int8:  # --integer-output
    scores = (scores + 128.0) / 256
for place in np.argsort(-scores)[:5]:
    print(f"{scores[place]:6.1%}  {names[place]}")
