"""Renders the report as one self-contained HTML page."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from keras_t3d.evaluation.charts import DARK, draw_confusion_matrix, draw_reliability_diagram
from keras_t3d.evaluation.failure_examples import ConfusedPair, confused_pairs, highest_loss_videos
from keras_t3d.evaluation.metrics import confusion_counts
from keras_t3d.evaluation.scores import VideoScores
from keras_t3d.evaluation.stylesheet import STYLESHEET


def render_html(
    metrics: Mapping[str, Any],
    scores: VideoScores,
    confusion_matrix: bytes,
    thumbnails: Mapping[int, bytes],
) -> str:
    """Returns the report as an HTML page with embedded styles and pictures, without scripts.

    Args:
        metrics: metrics of `compute_metrics`, and `protocol`.
        scores: scores of the videos.
        confusion_matrix: PNG of the confusion matrix in light colours.
        thumbnails: JPEG by index of the video. A video without one is shown by its name.

    Returns:
        The HTML text.
    """
    protocol = metrics["protocol"]
    model = str(protocol.get("model", "a model"))
    split = f" of the split “{escape(str(protocol['split']))}”" if "split" in protocol else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Evaluation of {escape(model)}</title>
<style>{STYLESHEET}</style>
</head>
<body>
<header>
<h1>Evaluation of {escape(model)}</h1>
<p>{metrics["videos"]} videos{split}, {len(scores.class_names)} classes.</p>
<nav>
<a href="#protocol">Protocol</a>
<a href="#calibration">Calibration</a>
<a href="#confusion">Confusion matrix</a>
<a href="#pairs">Most confused</a>
<a href="#worst">Worst videos</a>
<a href="#classes">Classes</a>
</nav>
</header>
<main>
{_headline(metrics)}
{_protocol(metrics)}
{_calibration(metrics["calibration"])}
{_confusion(scores, confusion_matrix)}
{_pairs(scores, thumbnails)}
{_worst(scores, thumbnails)}
{_classes(metrics["per_class"])}
</main>
<footer>
<p>The same data for programs: metrics.json, predictions.csv, per_class.csv and confusion.csv in the
same folder.</p>
</footer>
</body>
</html>
"""


def shown_videos(scores: VideoScores) -> list[int]:
    """Returns the indices of the videos that the report shows."""
    pairs = confused_pairs(scores)
    predicted = [pair.predicted_video for pair in pairs if pair.predicted_video is not None]
    confused = [pair.confused_video for pair in pairs]
    return sorted({*highest_loss_videos(scores), *confused, *predicted})


def _headline(metrics: Mapping[str, Any]) -> str:
    intervals, clips = metrics["intervals"], metrics["clip_level"]
    names = {"top1": "Top-1", "top5": "Top-5", "mean_class_accuracy": "Mean class accuracy"}
    cards = [
        (title, _percent(metrics[name]), f"95 %: {_interval(intervals[name])}")
        for name, title in names.items()
        if name in metrics
    ]
    cards.append(("Macro F1", _percent(metrics["macro_f1"]), "mean over the classes"))
    cards.append(
        ("Calibration error", _percent(metrics["calibration"]["ece"]), "ECE, 15 bins; 0 is best")
    )
    if clips is not None:
        top5 = f"; top-5 {_percent(clips['top5'])}" if "top5" in clips else ""
        cards.append(
            ("Top-1 of single clips", _percent(clips["top1"]), f"{clips['clips']} clips{top5}")
        )
    items = "\n".join(
        f'<div><dt>{title}</dt><dd class="value">{value}</dd><dd class="interval">{note}</dd></div>'
        for title, value, note in cards
    )
    return f'<dl class="figures">\n{items}\n</dl>'


def _protocol(metrics: Mapping[str, Any]) -> str:
    intervals = metrics["intervals"]
    rows = "\n".join(
        f"<dt>{escape(str(name).replace('_', ' '))}</dt><dd>{escape(_to_text(value))}</dd>"
        for name, value in metrics["protocol"].items()
        if value is not None
    )
    return f"""<section id="protocol">
<h2>Protocol</h2>
<p>How the videos were scored. Intervals hold 95 % of {intervals["resamples"]} bootstrap resamples
of the videos (seed {intervals["seed"]}); they show the uncertainty due to the choice of videos in
the split.</p>
<dl class="facts">
{rows}
</dl>
</section>"""


def _calibration(calibration: Mapping[str, Any]) -> str:
    bins = calibration["bins"]
    alt = "Reliability diagram: accuracy of the videos in each bin of confidence"
    picture = _picture(
        draw_reliability_diagram(bins), draw_reliability_diagram(bins, DARK), alt, "chart"
    )
    return f"""<section id="calibration">
<h2>Calibration</h2>
<p>A bar is the accuracy of the videos whose predicted class has a probability in that range. A
perfectly calibrated model is on the dashed line. The orange lines are the gaps between accuracy and
mean probability: their mean, weighted by videos, is the calibration error of
{_percent(calibration["ece"])}.</p>
{picture}
</section>"""


def _confusion(scores: VideoScores, light: bytes) -> str:
    alt = "Confusion matrix: a row for each true class, a column for each predicted class"
    dark = draw_confusion_matrix(confusion_counts(scores), scores.class_names, DARK)
    return f"""<section id="confusion">
<h2>Confusion matrix</h2>
<p>One row per true class, one column per predicted class; the colour of a cell shows its share of
the row. Counts are in confusion.csv.</p>
<div class="wide">{_picture(light, dark, alt, "matrix")}</div>
</section>"""


def _pairs(scores: VideoScores, thumbnails: Mapping[int, bytes]) -> str:
    pairs = confused_pairs(scores)
    if not pairs:
        body = "<p>All videos are classified correctly.</p>"
    else:
        cards = "\n".join(_pair(pair, scores, thumbnails) for pair in pairs)
        body = f'<ol class="cards pairs">\n{cards}\n</ol>'
    return f"""<section id="pairs">
<h2>Most confused</h2>
{body}
</section>"""


def _pair(pair: ConfusedPair, scores: VideoScores, thumbnails: Mapping[int, bytes]) -> str:
    true, predicted = (escape(scores.class_names[index]) for index in (pair.true, pair.predicted))
    count = f"{pair.num_videos} video{'' if pair.num_videos == 1 else 's'}"
    confused = _figure(pair.confused_video, scores, thumbnails, f"{true}, predicted: {predicted}")
    other = (
        '<div class="missing">no video of this class</div>'
        if pair.predicted_video is None
        else _figure(pair.predicted_video, scores, thumbnails, predicted)
    )
    return f"""<li>
<h3>{true} → {predicted} <span class="soft">{count}</span></h3>
<div class="couple">
{confused}
{other}
</div>
</li>"""


def _worst(scores: VideoScores, thumbnails: Mapping[int, bytes]) -> str:
    best = scores.probabilities.argmax(axis=1)
    cards = []
    for video in highest_loss_videos(scores):
        true, predicted = int(scores.labels[video]), int(best[video])
        own, highest = scores.probabilities[video, [true, predicted]]
        style = "good" if true == predicted else "bad"
        caption = (
            f"true: {escape(scores.class_names[true])}, {_percent(own)}<br>"
            f'<span class="{style}">predicted: {escape(scores.class_names[predicted])}, '
            f"{_percent(highest)}</span>"
        )
        cards.append(f"<li>{_figure(video, scores, thumbnails, caption)}</li>")
    return f"""<section id="worst">
<h2>Worst videos</h2>
<p>Videos with the highest loss, that is the lowest probability of their true class.</p>
<ol class="cards worst">
{chr(10).join(cards)}
</ol>
</section>"""


def _figure(video: int, scores: VideoScores, thumbnails: Mapping[int, bytes], caption: str) -> str:
    name = escape(_printable(scores.video_ids[video]))
    picture = (
        f'<img src="{_data("jpeg", thumbnails[video])}" alt="Middle frame of {name}">'
        if video in thumbnails
        else '<div class="missing">no picture</div>'
    )
    return (
        f"<figure>{picture}<figcaption>{caption}<br>"
        f'<span class="soft">{name}</span></figcaption></figure>'
    )


def _classes(per_class: Mapping[str, Mapping[str, Any]]) -> str:
    ordered = sorted(  # stable: classes of equal accuracy keep their order
        per_class.items(),
        key=lambda item: (item[1]["accuracy"] is None, item[1]["accuracy"] or 0.0),
    )
    rows = "\n".join(_class_row(name, values) for name, values in ordered)
    return f"""<section id="classes">
<h2>Classes</h2>
<p>In order of accuracy, lowest first. The accuracy of a class is its recall: the share of its
videos that are classified correctly. per_class.csv has the same table.</p>
<div class="wide">
<table>
<thead><tr><th scope="col">Class</th><th scope="col">Videos</th><th scope="col">Accuracy</th>
<th scope="col">Precision</th><th scope="col">F1</th>
<th scope="col" class="name">Most often confused with</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
</section>"""


def _class_row(name: str, values: Mapping[str, Any]) -> str:
    other = values["confused_with"]
    confused_with = "" if other is None else f"{escape(other)} ({values['confused_videos']})"
    cells = "".join(
        f"<td>{'–' if values[key] is None else _percent(values[key])}</td>"
        for key in ("accuracy", "precision", "f1")
    )
    return (
        f'<tr><th scope="row">{escape(name)}</th><td>{values["videos"]}</td>{cells}'
        f'<td class="name">{confused_with}</td></tr>'
    )


def _picture(light: bytes, dark: bytes, alt: str, style: str) -> str:
    """Returns an image that the browser shows in light or dark colours."""
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{_data("png", dark)}">'
        f'<img class="{style}" src="{_data("png", light)}" alt="{escape(alt)}"></picture>'
    )


def _data(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _percent(value: float | np.floating) -> str:
    return f"{100 * float(value):.1f}\u00a0%"  # no line break before the sign


def _interval(interval: Sequence[float]) -> str:
    low, high = interval
    return f"{100 * low:.1f} to {100 * high:.1f}\u00a0%"


def _to_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_to_text(part)}" for name, part in value.items())
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _printable(text: str) -> str:
    """Returns a file name as UTF-8; other bytes are written as \\udcff and the like."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
