#!/usr/bin/env bash
# Starts a real TF Serving on a fresh export, queries it by REST and by gRPC, and compares its
# predictions with Keras. The tests of this repository do not run it.
#
#     export/smoke_tf_serving.sh [MODEL.keras VIDEO]
#
# Without arguments it makes a small network and a video. It needs `tensorflow_model_server` on
# the PATH, or Docker. PYTHON (python3) is one with keras_t3d; TF_SERVING_IMAGE
# (tensorflow/serving:latest) is Docker's.
#
# Exit status: 0 if the predictions agree, 1 where something failed, 2 for wrong arguments,
# 3 where there is no TF Serving to run.
set -euo pipefail

python=${PYTHON:-python3}
image=${TF_SERVING_IMAGE:-tensorflow/serving:latest}
tolerance=1e-4 # of a probability
seconds=120    # for the server to load the model

say() { printf 'smoke_tf_serving: %s\n' "$*"; }
fail() {
  say "$1" >&2
  exit "${2:-1}"
}

if [[ $# -ne 0 && $# -ne 2 ]]; then
  fail "expected no arguments, or MODEL.keras VIDEO. Received: $*" 2
fi

if command -v tensorflow_model_server >/dev/null; then
  kind=binary
elif command -v docker >/dev/null && docker info >/dev/null 2>&1; then
  kind=docker
else
  fail "no TF Serving to run: found neither tensorflow_model_server on the PATH nor a Docker \
that runs. See https://www.tensorflow.org/tfx/serving/setup; nothing was tested" 3
fi

work=$(mktemp -d)
container=keras-t3d-smoke-$$
server=
clean_up() {
  if [[ $kind == docker ]]; then
    docker rm --force "$container" >/dev/null 2>&1 || true
  elif [[ -n $server ]]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap clean_up EXIT

if [[ $# -eq 2 ]]; then
  model=$1
  video=$2
else
  model=$work/small.keras
  video=$work/moving.mp4
  say "making a small network and a video"
  "$python" - "$model" "$video" <<'PYTHON'
import sys

import av
import numpy as np

import keras_t3d

spec = keras_t3d.ClipSpec(num_frames=8, frame_stride=2, resize=36, crop=32)
network = keras_t3d.models.T3DTiny(
    input_shape=spec.input_shape, num_classes=6, class_names=list("abcdef"), clip_spec=spec
)
network.save(sys.argv[1])
pattern = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
with av.open(sys.argv[2], "w") as container:
    stream = container.add_stream("mpeg4", rate=25)
    stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
    for index in range(40):
        frame = av.VideoFrame.from_ndarray(np.roll(pattern, 2 * index, axis=1), format="rgb24")
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
PYTHON
fi

"$python" -m keras_t3d.cli export saved-model "$model" "$work/serving/t3d"
chmod -R a+rX "$work" # the server in the container is another user

read -r rest grpc < <("$python" - <<'PYTHON'
import socket

with socket.socket() as one, socket.socket() as other:
    one.bind(("127.0.0.1", 0))
    other.bind(("127.0.0.1", 0))
    print(one.getsockname()[1], other.getsockname()[1])
PYTHON
)

if [[ $kind == binary ]]; then
  say "starting $(command -v tensorflow_model_server)"
  tensorflow_model_server --port="$grpc" --rest_api_port="$rest" --model_name=t3d \
    --model_base_path="$work/serving/t3d" >"$work/server.log" 2>&1 &
  server=$!
else
  say "starting $image in Docker"
  docker run --detach --name "$container" --env MODEL_NAME=t3d \
    --publish "127.0.0.1:$grpc:8500" --publish "127.0.0.1:$rest:8501" \
    --volume "$work/serving/t3d:/models/t3d:ro" "$image" >/dev/null
fi

show_log() {
  if [[ $kind == docker ]]; then docker logs "$container" 2>&1; else cat "$work/server.log"; fi |
    tail -n 30 >&2
}

if ! "$python" - "http://127.0.0.1:$rest/v1/models/t3d" "$seconds" "${server:-}" <<'PYTHON'; then
import os
import sys
import time

from keras_t3d.deploy import ServingError, connect

end = time.monotonic() + float(sys.argv[2])
client = connect(sys.argv[1], attempts=1)
said = "nothing"
while time.monotonic() < end:
    try:
        if sys.argv[3]:
            os.kill(int(sys.argv[3]), 0)  # whether it still runs
    except ProcessLookupError:
        sys.exit("smoke_tf_serving: the server ended")
    try:
        said = client.status()
        if any(version.state == "AVAILABLE" for version in said):
            sys.exit(0)
    except ServingError as error:
        said = error
    time.sleep(0.5)
sys.exit(f"smoke_tf_serving: the model did not become available: {said}")
PYTHON
  show_log
  exit 1
fi

ask() { "$python" -m keras_t3d.cli "$@" --json --top 1000; }
say "asking Keras, REST and gRPC"
ask predict "$model" "$video" >"$work/keras.json"
ask query "http://127.0.0.1:$rest/v1/models/t3d" "$video" >"$work/rest.json" || { show_log; exit 1; }
ask query "127.0.0.1:$grpc/t3d" "$video" --grpc >"$work/grpc.json" || { show_log; exit 1; }
ask query "127.0.0.1:$grpc/t3d" "$video" --grpc --jpeg >"$work/jpeg.json" || { show_log; exit 1; }

"$python" - "$work" "$tolerance" <<'PYTHON'
import json
import pathlib
import sys

folder, tolerance = pathlib.Path(sys.argv[1]), float(sys.argv[2])


def probabilities(name):
    classes = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["classes"]
    return {one["class"]: one["probability"] for one in classes}


keras = probabilities("keras")
differ = False
for name in ("rest", "grpc", "jpeg"):
    served = probabilities(name)
    # Of a thousand classes and more, each has named its best thousand.
    largest = max(abs(served[label] - keras[label]) for label in keras.keys() & served.keys())
    print(f"smoke_tf_serving: {name} differs from Keras by {largest:.1e} at most")
    differ |= largest > (0.25 if name == "jpeg" else tolerance)  # JPEG images lose something
if differ:
    sys.exit(f"smoke_tf_serving: more than {tolerance:.0e}, or 0.25 by JPEG: the predictions of the served model differ")
PYTHON
say "REST and gRPC answer as Keras does"
