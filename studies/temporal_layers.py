"""What temporal layers add to `t3d_lite0` from ImageNet, on JHMDB's official splits.

```
python studies/temporal_layers.py --videos ../shared/data/jhmdb --out runs/imagenet
python studies/temporal_layers.py --videos ../shared/data/jhmdb --out runs/imagenet --labels 10
python studies/temporal_layers.py --videos ../shared/data/jhmdb --out runs/imagenet --held-out
```

Stages 1 to 5 are frozen and the same for all networks, so their outputs are computed once: of
three random views and the centre view of every video, at 128 pixels. Each run trains what follows:
stages 6 and 7, the classifying layer, and the temporal layers among them. All start as the network
without temporal layers does, STC blocks aside, from a logistic regression, and score the centre
views of the test side once. `--held-out` chooses settings instead: it trains on three quarters of
the films of split 1's training side and scores the others. Each finished run is stored in
studies/results/ at once; a killed script resumes with the same command.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))  # `turns`

from keras_machine import hardware, keras_machine
from late_stage_options import study_parser
from late_stages import train_late_stages
from result_files import newest_result, write_result
from temporal_results import section
from temporal_videos import Videos, held_out_films, official, read_videos, share

NAME = "temporal-layers"
_LATE = {"temporal_stages": (6, 7)}
# Before stage 6 alone, as the other transitions are among the frozen layers.
_TTL = {"transition_depths": (None, None, (1, 3, 4))}
# The sum of two fresh gates is about 1, their average 1/2: pretrained layers expect 1.
_STC = {"stc": "residual", "stc_options": {"temporal_bins": 4, "combine": "sum"}, **_LATE}
_AVERAGED = {"stc": "residual", "stc_options": {"temporal_bins": 4}, **_LATE}
WITHOUT = "no temporal layer"
ARMS: dict[str, dict[str, Any]] = {
    WITHOUT: {"transition_depths": None},
    "TTL": _TTL,
    "temporal convolutions": {"transition_depths": None, "temporal_depth": 3, **_LATE},
    "STC": {"transition_depths": None, **_STC},
    "TTL and STC": {**_TTL, **_STC},
    "STC, averaged": {"transition_depths": None, **_AVERAGED},
    "TTL and STC, averaged": {**_TTL, **_AVERAGED},
}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs what is not finished; prints one line a run."""
    options = _options(argv)
    videos = read_videos(options.videos, options.out, ARMS[WITHOUT])
    if options.held_out:
        _choose(videos, options.arms)
        return
    before = newest_result(options.results, NAME)
    runs = before["runs"] if before else []
    done = {(r["arm"], r["split"], r["seed"], r["labels"]) for r in runs}
    for seed in options.seeds:
        for split in options.splits:
            for arm in options.arms:
                if (arm, split, seed, options.labels) in done:
                    continue
                train, test = official(videos, split)
                train = share(videos.labels, train, options.labels, seed)
                scores = train_late_stages(videos, ARMS[arm], train, test, seed)
                result = {"arm": arm, "split": split, "seed": seed, "labels": options.labels}
                runs.append({**result, "start": scores.start, "top1": scores.top1})
                print(json.dumps(runs[-1]), flush=True)
                machine = hardware(keras_machine(), "16 x 128 x 128")
                write_result(options.results, NAME, section(runs, machine))


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = study_parser(__doc__, ARMS, [1, 2, 3])
    parser.add_argument("--labels", type=int, default=100, help="percent of the labels to train on")
    parser.add_argument("--held-out", action="store_true", help="choose settings, see above")
    return parser.parse_args(argv)


def _choose(videos: Videos, arms: Sequence[str]) -> None:
    """Prints what each factor of the learning rate of temporal layers scores on held-out films."""
    for number in range(2):
        train, test = held_out_films(videos, number)
        for arm in arms:
            for factor in (1.0, 10.0, 100.0) if arm != WITHOUT else (1.0,):
                scores = train_late_stages(videos, ARMS[arm], train, test, number, factor)
                print(json.dumps([arm, factor, number, scores.start, scores.top1]), flush=True)


if __name__ == "__main__":
    main()
