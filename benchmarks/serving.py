"""Times the served graph beside the bare network, and requests through a server.

- In TF Serving's C++ loader (a session, one callable per signature): each signature on one clip,
  beside "bare", a SavedModel whose only signature is the network. Each runs in its own process with
  the same number of threads; they are timed in turns.
- Through the server of `keras-t3d serve`: the cost of client, messages and
  JSON. The server is written in Python, so its times do not represent TF Serving.
- Malformed requests, to the session and to a server of their own: how many are refused, and the
  process's memory before and after.
- With --videos and a trained --model: how much probabilities change if frames are sent as JPEG
  images instead of uint8, as `keras-t3d query` can send both.

    python benchmarks/serving.py
    python benchmarks/serving.py --model runs/a/best.keras --videos videos/test
    python benchmarks/serving.py --quick
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import turns
from serving_inputs import connected, inputs_of, module_of_tests
from serving_malformed import malformed_by_server, malformed_by_session

from keras_t3d.deploy.serving_server.saved_model_servable import SavedModelServable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_WARM_UP = 3  # runs


def main(argv: list[str] | None = None) -> None:
    """Measures and prints; the last line is one JSON object."""
    options = _options(argv)
    machine, started = turns.machine(), module_of_tests("server_process").started
    with tempfile.TemporaryDirectory() as folder:
        turns.facts_of(_export, folder, options.model, options.quick, options.frozen)
        entries = _graph_entries(folder, options.threads)
        if options.quick:
            entries = {name: entries[name] for name in ("bare", "views", "serving_default")}
        graph = turns.race(entries, options.rounds)
        to_bare = {
            f"{name}_to_bare": _to_bare(graph, name) for name in graph.times if name != "bare"
        }
        _print(f"{options.model}, the C++ loader", graph, to_bare)
        with started(Path(folder) / "t3d", options.threads) as server:
            served = turns.race(_client_entries(folder, server), options.rounds)
            _print("requests to the server", served, {})
            jpeg = _jpeg_difference(server, options.videos) if options.videos else None
        # Otherwise glibc keeps free memory in one arena per thread, which adds megabytes of noise.
        os.environ["MALLOC_ARENA_MAX"] = "1"
        with started(Path(folder) / "t3d", options.threads) as server:
            by_server = malformed_by_server(folder, server, options.malformed)
        by_session = turns.facts_of(malformed_by_session, folder, options.malformed)
    result = {
        "model": options.model,
        "frozen": options.frozen,
        "threads": options.threads,
        "rounds": options.rounds,
        "machine": machine,
        "milliseconds": {**graph.milliseconds, **served.milliseconds},
        "unavailable": {**graph.unavailable, **served.unavailable},
        **to_bare,
        "malformed": {"server": by_server, "session": by_session},
        "jpeg": jpeg,
    }
    for place, found in result["malformed"].items():
        print(f"  malformed requests, {place:17} {found}")
    print(json.dumps(result))


def _print(title: str, race: turns.Race, ratios: dict[str, Any]) -> None:
    result = {"milliseconds": race.milliseconds, "unavailable": race.unavailable, **ratios}
    turns.print_table(title, result)


def _to_bare(graph: turns.Race, name: str) -> float | None:
    return turns.ratio(graph.milliseconds.get(name), graph.milliseconds.get("bare"))


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", help="name of a network, or .keras file (default: t3d_121)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--malformed", type=int, help="requests each way (default: 1000)")
    parser.add_argument("--videos", help="folder of videos to query as uint8 and as JPEG images")
    parser.add_argument(
        "--frozen",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="weights as constants of a folded graph, or in variables",
    )
    parser.add_argument("--quick", action="store_true", help="t3d_tiny, few rounds")
    options = parser.parse_args(argv)
    if options.videos and not options.quick and not str(options.model).endswith(".keras"):
        parser.error("--videos needs a trained network: --model runs/a/best.keras")
    options.model = options.model or ("t3d_tiny" if options.quick else "t3d_121")
    options.rounds = options.rounds or (3 if options.quick else 20)
    options.malformed = options.malformed or (60 if options.quick else 1000)
    return options


# Processes: the export, and one for each that is timed.


def _export(
    folder: str, model: str, quick: bool, frozen: bool
) -> tuple[dict[str, Any], turns.Step]:
    import keras_t3d

    if model.endswith(".keras"):
        from keras_t3d.models.load import load_keras_model

        network = load_keras_model(model)
    else:
        spec = keras_t3d.ClipSpec(8, 2, 36, 32) if quick else keras_t3d.ClipSpec()
        network = keras_t3d.models.create(
            model, input_shape=spec.input_shape, num_classes=400, clip_spec=spec
        )
    options = keras_t3d.deploy.SavedModelOptions(frozen)
    keras_t3d.deploy.export_saved_model(network, Path(folder) / "t3d", options=options)
    _export_bare(network, Path(folder) / "bare" / "1", frozen)
    return {}, int


def _export_bare(model: Any, folder: Path, frozen: bool) -> None:
    """Exports only what the signatures run: from views to logits."""
    import tensorflow as tf

    from keras_t3d.deploy.folding import fold
    from keras_t3d.deploy.network import in_float32

    network = in_float32(model)
    run = fold(model) if frozen else lambda clips: network(clips, training=False)
    views = tf.TensorSpec((None, *model.clip_spec.input_shape), tf.uint8, name="clips")

    @tf.function(input_signature=[views], autograph=False)
    def logits(clips: Any) -> dict[str, Any]:
        return {"logits": run(clips)}

    bare = tf.Module()
    bare.weights = list(logits.get_concrete_function().graph.variables)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(bare, str(folder), {"views": logits}, options)


def _graph_entries(folder: str, threads: int) -> dict[str, tuple[Any, ...]]:
    return {
        name: (_signature, folder, threads, model, signature, inputs)
        for name, model, signature, inputs in (
            ("bare", "bare", "views", "views"),
            ("views", "t3d", "views", "views"),
            ("serving_default", "t3d", "serving_default", "whole_video"),
            ("serving_default_resized", "t3d", "serving_default", "resized"),
            ("serve_jpeg", "t3d", "serve_jpeg", "whole_jpeg"),
            ("serve_jpeg_resized", "t3d", "serve_jpeg", "resized_jpeg"),
        )
    }


def _signature(
    folder: str, threads: int, model: str, name: str, inputs_name: str
) -> tuple[dict[str, Any], turns.Step]:
    servable = SavedModelServable(Path(folder) / model / "1", threads)
    (argument,) = servable.signatures[name].inputs
    inputs = {argument: inputs_of(folder)[inputs_name]}
    return _ready(lambda: servable.predict(name, inputs))


def _client_entries(folder: str, server: dict[str, int]) -> dict[str, tuple[Any, ...]]:
    requests = {"views": ("clips", "views"), "serve_jpeg": ("frames", "resized_jpeg")}
    return {
        f"{protocol} {signature}": (_client, folder, server, protocol, signature, *inputs)
        for protocol in ("rest", "grpc")
        for signature, inputs in requests.items()
    }


def _client(
    folder: str, server: dict[str, int], protocol: str, signature: str, name: str, inputs_name: str
) -> tuple[dict[str, Any], turns.Step]:
    client = connected(server, protocol)
    rows = inputs_of(folder)[inputs_name]
    return _ready(lambda: client.predict(signature, {name: rows}))


def _ready(run: turns.Step) -> tuple[dict[str, Any], turns.Step]:
    for _ in range(_WARM_UP):
        run()
    return {}, run


def _jpeg_difference(server: dict[str, int], folder: str) -> dict[str, Any]:
    """Compares probabilities of JPEG images with those of uint8 views, over videos.

    The difference of a video is that of the class whose probability changes most.
    """
    from keras_t3d.data.sources.video_files import video_files
    from keras_t3d.deploy import query

    differences, agreements = [], []
    with connected(server, "grpc") as client:
        everything = len(client.class_names)
        for name in video_files(folder):
            video = os.path.join(folder, name)
            exact = query(client, video, everything)
            jpeg = dict(query(client, video, everything, jpeg=True))
            differences.append(max(abs(p - jpeg[name]) for name, p in exact))
            agreements.append(exact[0][0] == max(jpeg, key=jpeg.__getitem__))
    if not differences:
        raise ValueError(f"--videos needs a folder with video files. Received: {folder}")
    return {
        "videos": len(differences),
        "mean_difference": round(float(np.mean(differences)), 6),
        "largest_difference": round(max(differences), 6),
        "same_top_1": round(float(np.mean(agreements)), 4),
    }


if __name__ == "__main__":
    main()
