"""`keras-t3d probe`: a linear classifier on the features of a pretrained network."""

from __future__ import annotations

from collections.abc import Sequence

import jsonargparse

from keras_t3d.cli.loading import import_tensorflow, print_processors
from keras_t3d.cli.options import SHARDS, add_options, selected
from keras_t3d.progress import progress_bar
from keras_t3d.training.probe_options import ProbeOptions


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    parser.add_argument("shards", metavar="SHARDS", help=SHARDS)
    parser.add_argument("--out", required=True, metavar="FILE", help="new .keras file")
    add_options(parser, ProbeOptions)


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    arguments = parser.parse_args(words)
    options = ProbeOptions(**selected(arguments, ProbeOptions))
    import_tensorflow()
    from keras_t3d.training.probe import probe

    print_processors()
    with progress_bar("computing features", "videos") as progress:
        report = probe(arguments.shards, arguments.out, options, progress=progress)
    print("No videos to score: the shards have no test or val split." if report is None else report)
    print(f"Wrote {arguments.out}")
