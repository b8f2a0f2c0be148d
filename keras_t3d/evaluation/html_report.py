"""Renders the report as one self-contained HTML page."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import pathlib
import string
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from keras_t3d.evaluation.charts import (
    DARK,
    draw_reliability_diagram,
    draw_two_class_curves,
)
from keras_t3d.evaluation.failure_examples import ConfusedPair, confused_pairs, highest_loss_videos
from keras_t3d.evaluation.scores import VideoScores
from keras_t3d.evaluation.two_class_curves import two_class_curves

_TEMPLATE = pathlib.Path(__file__).with_name("report_template.html")
_ALL_CORRECT = "<p>All videos are classified correctly.</p>"

_TWO_CLASSES_LINK = '<a href="#curves">Thresholds</a>'


@dataclasses.dataclass(frozen=True)
class Pictures:
    """What the report shows of videos, by the index of the video.

    Attributes:
        thumbnails: JPEG files. A video without one is shown by its name.
        previews: mp4 files, played instead of the thumbnail.
    """

    thumbnails: Mapping[int, bytes] = dataclasses.field(default_factory=dict)
    previews: Mapping[int, bytes] = dataclasses.field(default_factory=dict)


def render_html(
    metrics: Mapping[str, Any],
    scores: VideoScores,
    confusion_matrix: tuple[bytes, bytes],
    pictures: Pictures,
) -> str:
    """Returns the report as an HTML page with embedded styles and pictures, without scripts.

    Args:
        metrics: metrics of `compute_metrics`, and `protocol`.
        scores: scores of the videos.
        confusion_matrix: PNG of the confusion matrix in light and in dark colours.
        pictures: thumbnails and previews of `shown_videos`.

    Returns:
        The HTML text.
    """
    protocol, calibration = metrics["protocol"], metrics["calibration"]
    split = f" of the split “{escape(str(protocol['split']))}”" if "split" in protocol else ""
    pairs = "\n".join(_pair(pair, scores, pictures) for pair in confused_pairs(scores))
    two_classes = _two_classes(scores)
    return string.Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        model=escape(str(protocol.get("model", "a model"))),
        videos=metrics["videos"],
        split=split,
        num_classes=len(scores.class_names),
        figures=_figures(metrics),
        resamples=metrics["intervals"]["resamples"],
        seed=metrics["intervals"]["seed"],
        protocol="\n".join(
            f"<dt>{escape(str(name).replace('_', ' '))}</dt><dd>{escape(_to_text(value))}</dd>"
            for name, value in protocol.items()
            if value is not None
        ),
        ece=_percent(calibration["ece"]),
        reliability=_picture(
            draw_reliability_diagram(calibration["bins"]),
            draw_reliability_diagram(calibration["bins"], DARK),
            "Reliability diagram: accuracy of the videos in each bin of confidence",
            "chart",
        ),
        two_classes=two_classes,
        two_classes_link=_TWO_CLASSES_LINK if two_classes else "",
        matrix_box=_png_width(confusion_matrix[0]) + 20,  # with borders and a scroll bar
        matrix=_picture(
            *confusion_matrix,
            "Confusion matrix: a row for each true class, a column for each predicted class",
            "matrix",
        ),
        pairs=f'<ol class="cards pairs">\n{pairs}\n</ol>' if pairs else _ALL_CORRECT,
        worst="\n".join(_worst(video, scores, pictures) for video in highest_loss_videos(scores)),
        classes=_classes(metrics["per_class"]),
    )


def shown_videos(scores: VideoScores) -> list[int]:
    """Returns the indices of the videos that the report shows."""
    pairs = confused_pairs(scores)
    predicted = [pair.predicted_video for pair in pairs if pair.predicted_video is not None]
    confused = [pair.confused_video for pair in pairs]
    return sorted({*highest_loss_videos(scores), *confused, *predicted})


def _figures(metrics: Mapping[str, Any]) -> str:
    intervals, clips = metrics["intervals"], metrics["clip_level"]
    names = {"top1": "Top-1", "top5": "Top-5", "mean_class_accuracy": "Mean class accuracy"}
    cards = [
        (title, _percent(metrics[name]), f"95 %: {_interval(intervals[name])}")
        for name, title in names.items()
        if name in metrics
    ]
    baseline = f"top-1 of always predicting it; chance: {_percent(metrics['chance'])}"
    cards.insert(1, ("Most frequent class", _percent(metrics["majority"]), baseline))
    cards.append(("Macro F1", _percent(metrics["macro_f1"]), "mean over the classes"))
    cards.append(
        ("Calibration error", _percent(metrics["calibration"]["ece"]), "ECE, 15 bins; 0 is best")
    )
    if clips is not None:
        top5 = f"; top-5 {_percent(clips['top5'])}" if "top5" in clips else ""
        cards.append(
            ("Top-1 of single clips", _percent(clips["top1"]), f"{clips['clips']} clips{top5}")
        )
    return "\n".join(
        f'<div><dt>{title}</dt><dd class="value">{value}</dd><dd class="interval">{note}</dd></div>'
        for title, value, note in cards
    )


def _two_classes(scores: VideoScores) -> str:
    """Returns the section on the curves of two classes; nothing for more classes."""
    curves = two_class_curves(scores)
    if curves is None:
        return ""
    picture = _picture(
        draw_two_class_curves(curves),
        draw_two_class_curves(curves, DARK),
        "ROC curve, and precision by recall",
        "chart",
    )
    return f"""<section id="curves">
<h2>Thresholds</h2>
<p>What each threshold on the probability of {escape(curves.positive)}, the class with fewer videos,
does. Dashed lines are what guessing gives. Area under the ROC curve: {curves.roc_auc:.3f}, 0.5 at
chance; average precision: {curves.average_precision:.3f}, {curves.share:.3f} at chance.</p>
{picture}
</section>"""


def _pair(pair: ConfusedPair, scores: VideoScores, pictures: Pictures) -> str:
    true, predicted = (escape(scores.class_names[index]) for index in (pair.true, pair.predicted))
    count = f"{pair.num_videos} video{'' if pair.num_videos == 1 else 's'}"
    confused = _figure(pair.confused_video, scores, pictures, f"{true}, predicted: {predicted}")
    other = (
        '<figure><div class="missing">no video of this class in the split</div>'
        f"<figcaption>{predicted}</figcaption></figure>"
        if pair.predicted_video is None
        else _figure(pair.predicted_video, scores, pictures, predicted)
    )
    return f"""<li>
<h3>{true} → {predicted} <span class="soft">{count}</span></h3>
<div class="couple">
{confused}
{other}
</div>
</li>"""


def _worst(video: int, scores: VideoScores, pictures: Pictures) -> str:
    probabilities = scores.probabilities[video]
    true, predicted = int(scores.labels[video]), int(probabilities.argmax())
    style = "good" if true == predicted else "bad"
    caption = (
        f"true: {escape(scores.class_names[true])}, {_percent(probabilities[true])}<br>"
        f'<span class="{style}">predicted: {escape(scores.class_names[predicted])}, '
        f"{_percent(probabilities[predicted])}</span>"
    )
    return f"<li>{_figure(video, scores, pictures, caption)}</li>"


def _figure(video: int, scores: VideoScores, pictures: Pictures, caption: str) -> str:
    name = escape(_printable(scores.video_ids[video]))
    thumbnail = pictures.thumbnails.get(video)
    if video in pictures.previews:
        poster = "" if thumbnail is None else f' poster="{_data("image/jpeg", thumbnail)}"'
        source = _data("video/mp4", pictures.previews[video])
        shown = (
            f'<video controls loop muted playsinline preload="none"{poster} src="{source}" '
            f'aria-label="Middle of {name}"></video>'
        )
    elif thumbnail is not None:
        shown = f'<img src="{_data("image/jpeg", thumbnail)}" alt="Middle frame of {name}">'
    else:
        shown = '<div class="missing">no picture</div>'
    return (
        f"<figure>{shown}<figcaption>{caption}<br>"
        f'<span class="soft">{name}</span></figcaption></figure>'
    )


def _classes(per_class: Mapping[str, Mapping[str, Any]]) -> str:
    ordered = sorted(  # stable: classes of equal accuracy keep their order
        per_class.items(),
        key=lambda item: (item[1]["accuracy"] is None, item[1]["accuracy"] or 0.0),
    )
    return "\n".join(_class_row(name, values) for name, values in ordered)


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
    dark_data = _data("image/png", dark)
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark_data}">'
        f'<img class="{style}" src="{_data("image/png", light)}" alt="{escape(alt)}"></picture>'
    )


def _png_width(png: bytes) -> int:
    with Image.open(io.BytesIO(png)) as image:
        return image.width


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


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
