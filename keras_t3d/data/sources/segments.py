"""Layout `segments`: a text file with lines `video_id start end label`, and a folder of videos."""

from __future__ import annotations

import pathlib

from keras_t3d.data.sources.annotation_files import (
    check_span,
    parse_seconds,
    read_lines,
)
from keras_t3d.data.sources.listed_videos import ListedVideos
from keras_t3d.data.sources.listing import Listing, SourceError, class_name, span_id
from keras_t3d.data.sources.options import DatasetLayout, SourceOptions
from keras_t3d.data.sources.video_files import video_files, video_name, without_video_suffixes
from keras_t3d.errors import InvalidArgumentError


def list_segments(source: pathlib.Path, options: SourceOptions) -> Listing:
    """Lists the segments of videos that a text file names, one per line.

    Args:
        source: folder of videos, at any depth.
        options: SourceOptions. Each line of the text file `annotations` is
            `video_id start end label`, separated by whitespace: the file name of a video
            without its suffix, or its path below `source`; two times in seconds; and a class
            name, which may contain spaces. Segments of one video stay in one split.

    Returns:
        A Listing; its classes are all that the file names, sorted. Segments listed again
        are rejects; those whose video is missing are absent.

    Raises:
        InvalidArgumentError: if there is no such text file.
        SourceError: if a line is malformed, or no listed video is found.
    """
    list_path = pathlib.Path(options.annotations or "")
    if not list_path.is_file():
        raise InvalidArgumentError(
            "The layout 'segments' requires `annotations`, a text file with a line "
            f"'video_id start end label' per segment. Received: {options.annotations}",
            argument="annotations",
        )
    found: dict[str, str] = {}
    for path in video_files(source):
        composed = class_name(path)
        for name in (composed, without_video_suffixes(composed), video_name(path)):
            found.setdefault(name, path)
    videos = ListedVideos(source, options)
    class_names: set[str] = set()
    for line, text in read_lines(list_path):
        where = f"line {line} of {list_path}"
        name, start, end, label = _parse_line(text, where)
        class_names.add(label)
        if name in found:
            videos.add(found[name], label, None, start, end)
        else:
            videos.add_absent(span_id(name, start, end))
    return videos.listing(sorted(class_names))


def _parse_line(text: str, where: str) -> tuple[str, float, float, str]:
    parts = text.split(maxsplit=3)
    if len(parts) < 4:
        raise SourceError(
            "A line must be 'video_id start end label', for example 'film_07 12.5 18 open door'. "
            f"Received: {text!r} in {where}"
        )
    start = parse_seconds(parts[1], "start", where)
    end = parse_seconds(parts[2], "end", where)
    check_span(start, end, where)
    return parts[0], start or 0.0, end or 0.0, parts[3]


LAYOUT = DatasetLayout(
    list_segments,
    required={"annotations": "segments.txt", "split_ratio": "0.8"},
    optional=("group_regex", "only_present_classes"),
)
