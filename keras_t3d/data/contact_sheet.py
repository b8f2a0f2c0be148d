"""A contact sheet of shards: a PNG of some videos of each class."""

from __future__ import annotations

import dataclasses
import io
import os
import pathlib
import random

from PIL import Image, ImageDraw

from keras_t3d.atomic import written_beside
from keras_t3d.data.inspection import NO_CLASS, class_name, shard_paths, stored_videos, summarize
from keras_t3d.data.shards.errors import RecordError
from keras_t3d.data.shards.record import StoredVideo
from keras_t3d.data.shards.record_file import record_offsets
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.errors import InvalidArgumentError, check_integer
from keras_t3d.fonts import PillowFont, bundled_font, find_fonts, warn_of_missing_characters

_TILE = 160  # longer side of a picture, in pixels
_CAPTION = 28  # height of two lines
_HEADING = 24
_GAP = 8


def contact_sheet(
    shards: ShardSet,
    sheet: str | os.PathLike[str],
    seed: int = 0,
    per_class: int = 6,
    most_classes: int = 20,
) -> int:
    """Draws the middle frames of some videos as a PNG, one row per class (or one without labels).

    Below each stand its split and its id.

    Records are read in random order until each row is full, so a large set takes no longer than a
    small one, except for rare classes. Without a manifest, which counts the videos of each class,
    all records are read first.

    Args:
        shards: shards to show.
        sheet: file to write, ending in `.png`.
        seed: another seed shows other videos.
        per_class: videos in a row.
        most_classes: number of classes shown, the first that have videos; a line below gives
            the number of the others.

    Returns:
        The number of classes with videos that are not on the sheet.

    Raises:
        InvalidArgumentError: if an argument is out of its range.
        ValueError: if a record or an image is damaged, or the shards hold no video.

    Example:

    ```python
    contact_sheet(ShardSet.open("shards"), "sheet.png")
    ```
    """
    path = pathlib.Path(sheet)
    if path.suffix.lower() != ".png":
        raise InvalidArgumentError(
            f"`sheet` must end in .png, for example sheet.png. Received: {path}", argument="sheet"
        )
    check_integer("per_class", per_class, 1, 6)
    check_integer("most_classes", most_classes, 1, 20)
    counts = _videos_of_classes(shards)
    present = [name for name, count in counts.items() if count]
    if not present:
        raise InvalidArgumentError(
            f"`shards` must hold videos. Received: {shards.folder}", argument="shards"
        )
    wanted = {name: min(counts[name], per_class) for name in present[:most_classes]}
    rows = _middle_frames(shards, wanted, random.Random(seed))
    with written_beside(path) as part:
        _draw(rows, per_class, len(present) - len(wanted)).save(part, "PNG")
    return len(present) - len(wanted)


def _videos_of_classes(shards: ShardSet) -> dict[str, int]:
    splits: list[dict[str, int]]
    if not shards.class_names:
        return {NO_CLASS: sum(shards.num_videos(split) for split in shards.splits)}
    if shards.has_manifest:
        splits = [split["per_class"] for split in shards.manifest["splits"].values()]
    else:
        splits = list(summarize(shards).videos.values())
    return {name: sum(split[name] for split in splits) for name in shards.class_names}


@dataclasses.dataclass(frozen=True)
class _Tile:
    """A video on the sheet: its split and id, and its middle frame."""

    split: str
    video_id: str
    picture: Image.Image


def _middle_frames(
    shards: ShardSet, wanted: dict[str, int], chance: random.Random
) -> dict[str, list[_Tile]]:
    """Returns some videos of each class, by class."""
    rows: dict[str, list[_Tile]] = {name: [] for name in wanted}
    missing = sum(wanted.values())
    paths = shard_paths(shards)
    chance.shuffle(paths)
    for split, path in paths:
        offsets = record_offsets(path).tolist()
        chance.shuffle(offsets)
        for video in stored_videos(path, offsets):
            if not missing:
                return rows
            name = class_name(shards, video, path)
            if name in wanted and len(rows[name]) < wanted[name]:
                rows[name].append(_Tile(split, video.video_id, _middle_frame(video, path)))
                missing -= 1
    if missing:
        raise RecordError(
            "The records hold fewer videos of a class than manifest.json counts: convert the "
            f"videos again, or restore the file. Received: {shards.folder}"
        )
    return rows


def _middle_frame(video: StoredVideo, path: str) -> Image.Image:
    """Returns the middle frame, at most as large as a tile."""
    try:
        with Image.open(io.BytesIO(video.frames[len(video.frames) // 2])) as image:
            picture = image.convert("RGB")
    except OSError as error:
        raise RecordError(
            f"A frame must be a JPEG picture ({error}). Received: {video.video_id!r} in {path}"
        ) from None
    picture.thumbnail((_TILE, _TILE))
    return picture


def _draw(rows: dict[str, list[_Tile]], columns: int, more_classes: int) -> Image.Image:
    highest = max(tile.picture.height for row in rows.values() for tile in row)
    row_height = _HEADING + highest + _CAPTION
    height = _GAP + len(rows) * row_height + (_HEADING if more_classes else 0)
    sheet = Image.new("RGB", (_GAP + columns * (_TILE + _GAP), height), "white")
    shown = [
        text for name, row in rows.items() for text in (name, *(tile.video_id for tile in row))
    ]
    fonts = find_fonts(map(_printable, shown))
    warn_of_missing_characters(map(_printable, shown), fonts)
    heading = PillowFont(fonts, 14)
    caption = PillowFont((bundled_font("DejaVuSansMono"), *fonts), 10)

    def write(text: str, left: int, baseline: int, font: PillowFont) -> None:
        font.draw(ImageDraw.Draw(sheet), (left, baseline), text, "black")

    top = 0
    for name, row in rows.items():
        write(_printable(name) or "no labels", _GAP, top + _HEADING - 6, heading)
        for column, tile in enumerate(row):
            left = _GAP + column * (_TILE + _GAP)
            sheet.paste(tile.picture, (left, top + _HEADING))
            below = top + _HEADING + tile.picture.height
            for line, text in enumerate(_caption(tile, caption), start=1):
                write(text, left, below + 11 * line, caption)
        top += row_height
    if more_classes:
        text = f"and {more_classes} more class{'es' if more_classes > 1 else ''}"
        write(text, _GAP, top + _HEADING - 6, heading)
    return sheet


def _caption(tile: _Tile, font: PillowFont) -> list[str]:
    """Returns split and id in at most two lines as wide as a tile; a longer id is cut at its
    start."""
    text = _printable(tile.video_id)
    lines = _broken(f"{tile.split}: {text}", font)
    while len(lines) > 2:
        text = text[-_TILE:]  # no letter is narrower than two pixels
        text = text[1:]
        lines = _broken(f"{tile.split}: …{text}", font)
    return lines


def _broken(text: str, font: PillowFont) -> list[str]:
    """Returns the lines of a text that is broken where it reaches the width of a tile."""
    lines, width = [""], 0.0
    for letter in text:
        width += font.length(letter)
        if width > _TILE:
            lines.append("")
            width = font.length(letter)
        lines[-1] += letter
    return lines


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
