"""Classifies the centre view of a video; needs only: pip install ai-edge-litert av numpy pillow.

python litert_alone.py t3d.tflite video.mp4
"""

import contextlib
import json
import sys
import zipfile
from collections.abc import Iterator

import av
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from av.sidedata.sidedata import SideDataContainer, Type
from av.stream import Disposition
from PIL import Image

model, video = sys.argv[1:]
with zipfile.ZipFile(model) as files:  # appended to the model
    names = files.read("labels.txt").decode().splitlines()
    spec = json.loads(files.read("clip_spec.json"))
resize, stride, rate = spec["resize"], spec["frame_stride"], spec.get("fps")
classify = Interpreter(model).get_signature_runner()
_, count, height, width, _ = classify.get_input_details()["clip"]["shape"]


def decode() -> Iterator[av.VideoFrame]:
    with av.open(video) as container:  # the default film, not cover art
        streams = container.streams.video
        films = [s for s in streams if not s.disposition & Disposition.attached_pic]
        films.sort(key=lambda stream: not stream.disposition & Disposition.default)
        yield from container.decode(films[0])


class KnownSideData(SideDataContainer):  # up to Exif data, which PyAV 18 does not know
    def __init__(self, frame: av.VideoFrame) -> None:
        with contextlib.suppress(ValueError):
            super().__init__(frame)  # type: ignore[call-arg]


def upright(frame: av.VideoFrame) -> Image.Image:
    image, matrix = frame.to_image(), KnownSideData(frame).get(Type.DISPLAYMATRIX)
    if matrix is None:
        return image
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(a) + abs(d) < abs(b) + abs(c):  # x is shown along y
        image, a, d = image.transpose(Image.Transpose.TRANSPOSE), c, b
    image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if a < 0 else image
    return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if d < 0 else image


times = np.array([frame.time if frame.time is not None else np.nan for frame in decode()])
frames = np.arange(len(times))
if rate and not np.isnan(times).any():  # those nearest to each multiple of 1 / rate seconds
    wanted = np.arange(times[0], times[-1] + 0.5 / rate, 1 / rate)
    frames = np.abs(times[:, None] - wanted).argmin(axis=0)
first = max((len(frames) - stride * (count - 1) - 1) // 2, 0)
chosen = [frames[(first + stride * number) % len(frames)] for number in range(count)]  # may loop
# Decoded twice: a minute of frames is gigabytes.
images = {number: upright(frame) for number, frame in enumerate(decode()) if number in chosen}
clip = []
for number in chosen:
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
