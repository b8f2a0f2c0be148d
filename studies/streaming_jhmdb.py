"""What a causal `t3d_lite0` loses, and what time strides cost, on JHMDB's official splits.

```
python studies/streaming_jhmdb.py --videos ../shared/data/jhmdb --out runs/imagenet
python studies/streaming_jhmdb.py --videos ../shared/data/jhmdb --out runs/imagenet --probe
```

Stages 1 to 5 are frozen, as in the recipe `own_videos_stream`, and compute each frame by itself:
their outputs for every frame are computed once, and a network takes those that its stem reads. Each
run trains stages 6 and 7, the Temporal Transition Layer before them and the classifying layer, and
scores the centre views of the test side once. `--probe` scores where training starts instead, a
logistic regression of the features, on all splits. Each finished run is stored in studies/results/
at once; a killed script resumes with the same command.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))  # `turns`

import numpy as np
from keras_machine import hardware, keras_machine
from late_stage_options import study_parser
from late_stages import is_right, linear_classifier, percent, train_late_stages
from result_files import newest_result, write_result
from streaming_results import section
from temporal_videos import PIXELS, Videos, official, read_videos

NAME = "streaming-jhmdb"
_EVERY_FRAME: dict[str, Any] = {"transition_depths": None, "stem_stride": (1, 2, 2)}


@dataclasses.dataclass(frozen=True)
class Arm:
    """A network of the study.

    Attributes:
        stride: frames of a step: the stride of the stem over time.
        causal: whether no layer reads a later frame.
        pixels: height and width of the frames.
    """

    stride: int = 2
    causal: bool = True
    pixels: int = PIXELS

    @property
    def options(self) -> dict[str, Any]:
        """Options of the network."""
        return {
            # Before stage 6 alone, as the other transitions are among the frozen layers.
            "transition_depths": (None, None, (1, 3, 4)),
            "stem_stride": (self.stride, 2, 2),
            "causal": self.causal,
        }

    def videos(self, every_frame: Videos) -> Videos:
        """Returns the outputs of the frames that the stem reads: causal, the last of each step."""
        first = self.stride - 1 if self.causal else 0
        return dataclasses.replace(
            every_frame, values=every_frame.values[:, :, first :: self.stride]
        )


WHOLE_CLIPS, CAUSAL = "not causal", "causal"
ARMS: Mapping[str, Arm] = {
    WHOLE_CLIPS: Arm(causal=False),
    CAUSAL: Arm(),
    "causal, all frames": Arm(stride=1),
    "causal, every 4th frame": Arm(stride=4),
    "causal, 96 px": Arm(pixels=96),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs what is not finished; prints one line a run."""
    options = _options(argv)
    every_frame = functools.cache(
        lambda pixels: read_videos(
            options.videos, options.out, _EVERY_FRAME, f"every-frame-{pixels}", pixels
        )
    )
    before = newest_result(options.results, NAME) or {"runs": [], "probes": []}
    runs, probes = before["runs"], before["probes"]
    records, seeds, score = (probes, [0], _probe) if options.probe else (runs, options.seeds, _run)
    done = {(record["arm"], record["split"], record["seed"]) for record in records}
    for seed in seeds:
        for split in options.splits:
            for name in options.arms:
                if (name, split, seed) in done:
                    continue
                videos = every_frame(ARMS[name].pixels)
                records.append({"arm": name, "split": split, "seed": seed})
                records[-1] |= score(videos, ARMS[name], split, seed)
                print(json.dumps([name, split, seed, records[-1]["top1"]]), flush=True)
                machine = hardware(keras_machine(), "16 x 128 x 128")
                write_result(options.results, NAME, section(runs, probes, machine))


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = study_parser(__doc__, ARMS, [1])
    parser.add_argument("--probe", action="store_true", help="score the start, see above")
    return parser.parse_args(argv)


def _probe(every_frame: Videos, arm: Arm, split: int, seed: int) -> dict[str, Any]:
    """Returns how the network is where training starts."""
    videos, (train, test) = arm.videos(every_frame), official(every_frame, split)
    right = is_right(linear_classifier(videos, arm.options, train), videos, test)
    return {"top1": percent(right), "films": _of_films(videos, test, right)}


def _run(every_frame: Videos, arm: Arm, split: int, seed: int) -> dict[str, Any]:
    """Trains a network."""
    videos, (train, test) = arm.videos(every_frame), official(every_frame, split)
    scores = train_late_stages(videos, arm.options, train, test, seed)
    return {
        "start": scores.start,
        "top1": scores.top1,
        "films": _of_films(videos, test, scores.correct),
    }


def _of_films(videos: Videos, numbers: np.ndarray, right: np.ndarray) -> list[list[int]]:
    """Returns how many of the videos of each film are right, and how many it has."""
    films = np.array([videos.rows[number]["source_group"] for number in numbers])
    return [
        [int(right[films == film].sum()), int(np.sum(films == film))] for film in np.unique(films)
    ]


if __name__ == "__main__":
    main()
