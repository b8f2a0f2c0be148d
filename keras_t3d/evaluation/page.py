"""The report as one HTML page that needs no other file."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from keras_t3d.evaluation.charts import DARK, confusion_png, reliability_png
from keras_t3d.evaluation.examples import ConfusedPair, confused_pairs, worst_videos
from keras_t3d.evaluation.metrics import confusion
from keras_t3d.evaluation.scores import VideoScores
from keras_t3d.evaluation.stylesheet import STYLESHEET


def page(
    metrics: Mapping[str, Any],
    scores: VideoScores,
    confusion_light: bytes,
    pictures: Mapping[int, bytes],
) -> str:
    """Returns the page.

    Args:
        metrics: what `compute_metrics` gives, and `protocol`.
        scores: VideoScores.
        confusion_light: PNG file of the confusion matrix on white.
        pictures: dict from a video's number to a JPEG file. A video without one is shown
            by its name alone.

    Returns:
        HTML, UTF-8. Styles and pictures are in it; it has no scripts.
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
{_confusion(scores, confusion_light)}
{_pairs(scores, pictures)}
{_worst(scores, pictures)}
{_classes(metrics["per_class"])}
</main>
<footer>
<p>The same figures for programs: metrics.json, predictions.csv, per_class.csv and confusion.csv
beside this page.</p>
</footer>
</body>
</html>
"""


def shown_videos(scores: VideoScores) -> list[int]:
    """Returns the numbers of the videos that the page shows."""
    pairs = confused_pairs(scores)
    of_predicted = [pair.of_predicted for pair in pairs if pair.of_predicted is not None]
    return sorted({*worst_videos(scores), *(pair.of_true for pair in pairs), *of_predicted})


def _headline(metrics: Mapping[str, Any]) -> str:
    intervals, clips = metrics["intervals"], metrics["clip_level"]
    names = {"top1": "Top-1", "top5": "Top-5", "mean_class_accuracy": "Mean class accuracy"}
    figures = [
        (title, _percent(metrics[name]), f"95 %: {_span(intervals[name])}")
        for name, title in names.items()
        if name in metrics
    ]
    figures.append(("Macro F1", _percent(metrics["macro_f1"]), "mean over the classes"))
    figures.append(
        ("Calibration error", _percent(metrics["calibration"]["ece"]), "ECE, 15 bins; 0 is best")
    )
    if clips is not None:
        top5 = f"; top-5 {_percent(clips['top5'])}" if "top5" in clips else ""
        figures.append(
            ("Top-1 of single clips", _percent(clips["top1"]), f"{clips['clips']} clips{top5}")
        )
    cards = "\n".join(
        f'<div><dt>{title}</dt><dd class="value">{value}</dd><dd class="interval">{note}</dd></div>'
        for title, value, note in figures
    )
    return f'<dl class="figures">\n{cards}\n</dl>'


def _protocol(metrics: Mapping[str, Any]) -> str:
    intervals = metrics["intervals"]
    rows = "\n".join(
        f"<dt>{escape(str(name).replace('_', ' '))}</dt><dd>{escape(_plain(value))}</dd>"
        for name, value in metrics["protocol"].items()
        if value is not None
    )
    return f"""<section id="protocol">
<h2>Protocol</h2>
<p>How the figures came about. Intervals hold 95 % of {intervals["resamples"]} bootstrap resamples
of the videos (seed {intervals["seed"]}); they say how much the figures owe to which videos are in
the split.</p>
<dl class="facts">
{rows}
</dl>
</section>"""


def _calibration(calibration: Mapping[str, Any]) -> str:
    bins = calibration["bins"]
    alt = "Reliability diagram: accuracy of the videos in each bin of confidence"
    picture = _two_colours(reliability_png(bins), reliability_png(bins, DARK), alt, "chart")
    return f"""<section id="calibration">
<h2>Calibration</h2>
<p>Is the model right as often as it says? A bar is the accuracy of the videos whose predicted
class has a probability in that range; on the dashed line it would be right as often as it says. The
orange lines are the gaps: weighted by videos, they add up to the calibration error of
{_percent(calibration["ece"])}.</p>
{picture}
</section>"""


def _confusion(scores: VideoScores, light: bytes) -> str:
    alt = "Confusion matrix: a row for each true class, a column for each predicted class"
    dark = confusion_png(confusion(scores), scores.class_names, DARK)
    return f"""<section id="confusion">
<h2>Confusion matrix</h2>
<p>A row is a true class, a column what its videos were taken for: the stronger the colour, the
larger the share of the row. Counts stand in confusion.csv.</p>
<div class="wide">{_two_colours(light, dark, alt, "matrix")}</div>
</section>"""


def _pairs(scores: VideoScores, pictures: Mapping[int, bytes]) -> str:
    pairs = confused_pairs(scores)
    if not pairs:
        body = "<p>No video was taken for another class.</p>"
    else:
        cards = "\n".join(_pair(pair, scores, pictures) for pair in pairs)
        body = f'<ol class="cards pairs">\n{cards}\n</ol>'
    return f"""<section id="pairs">
<h2>Most confused</h2>
{body}
</section>"""


def _pair(pair: ConfusedPair, scores: VideoScores, pictures: Mapping[int, bytes]) -> str:
    true, predicted = (escape(scores.class_names[index]) for index in (pair.true, pair.predicted))
    number = f"{pair.videos} video{'' if pair.videos == 1 else 's'}"
    confused = _figure(pair.of_true, scores, pictures, f"{true}, taken for {predicted}")
    theirs = (
        '<div class="missing">no video of it</div>'
        if pair.of_predicted is None
        else _figure(pair.of_predicted, scores, pictures, predicted)
    )
    return f"""<li>
<h3>{true} → {predicted} <span class="soft">{number}</span></h3>
<div class="couple">
{confused}
{theirs}
</div>
</li>"""


def _worst(scores: VideoScores, pictures: Mapping[int, bytes]) -> str:
    best = scores.probabilities.argmax(axis=1)
    cards = []
    for video in worst_videos(scores):
        true, predicted = int(scores.labels[video]), int(best[video])
        own, highest = scores.probabilities[video, [true, predicted]]
        verdict = "good" if true == predicted else "bad"
        caption = (
            f"true: {escape(scores.class_names[true])}, {_percent(own)}<br>"
            f'<span class="{verdict}">predicted: {escape(scores.class_names[predicted])}, '
            f"{_percent(highest)}</span>"
        )
        cards.append(f"<li>{_figure(video, scores, pictures, caption)}</li>")
    return f"""<section id="worst">
<h2>Worst videos</h2>
<p>Those of the highest loss, the worst first: to their true class the model gives the least
probability.</p>
<ol class="cards worst">
{chr(10).join(cards)}
</ol>
</section>"""


def _figure(video: int, scores: VideoScores, pictures: Mapping[int, bytes], caption: str) -> str:
    name = escape(_printable(scores.video_ids[video]))
    picture = (
        f'<img src="{_data("jpeg", pictures[video])}" alt="Middle frame of {name}">'
        if video in pictures
        else '<div class="missing">no picture</div>'
    )
    return (
        f"<figure>{picture}<figcaption>{caption}<br>"
        f'<span class="soft">{name}</span></figcaption></figure>'
    )


def _classes(per_class: Mapping[str, Mapping[str, Any]]) -> str:
    ordered = sorted(  # stable: classes of one accuracy keep their order
        per_class.items(),
        key=lambda item: (item[1]["accuracy"] is None, item[1]["accuracy"] or 0.0),
    )
    rows = "\n".join(_class_row(name, figures) for name, figures in ordered)
    return f"""<section id="classes">
<h2>Classes</h2>
<p>The least accurate first. The accuracy of a class is its recall: the share of its videos that are
recognised. per_class.csv has the same table.</p>
<div class="wide">
<table>
<thead><tr><th scope="col">Class</th><th scope="col">Videos</th><th scope="col">Accuracy</th>
<th scope="col">Precision</th><th scope="col">F1</th>
<th scope="col" class="name">Most often taken for</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
</section>"""


def _class_row(name: str, figures: Mapping[str, Any]) -> str:
    other = figures["confused_with"]
    taken_for = "" if other is None else f"{escape(other)} ({figures['confused_videos']})"
    cells = "".join(
        f"<td>{'–' if figures[key] is None else _percent(figures[key])}</td>"
        for key in ("accuracy", "precision", "f1")
    )
    return (
        f'<tr><th scope="row">{escape(name)}</th><td>{figures["videos"]}</td>{cells}'
        f'<td class="name">{taken_for}</td></tr>'
    )


def _two_colours(light: bytes, dark: bytes, alt: str, style: str) -> str:
    """A picture for light pages and for dark ones; the browser takes one."""
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{_data("png", dark)}">'
        f'<img class="{style}" src="{_data("png", light)}" alt="{escape(alt)}"></picture>'
    )


def _data(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _percent(value: float | np.floating) -> str:
    return f"{100 * float(value):.1f}\u00a0%"  # its sign is not left alone on a line


def _span(interval: Sequence[float]) -> str:
    low, high = interval
    return f"{100 * low:.1f} to {100 * high:.1f}\u00a0%"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(part)}" for name, part in value.items())
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _printable(text: str) -> str:
    """A file's name need not be UTF-8; what is not is written as \\udcff and the like."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
