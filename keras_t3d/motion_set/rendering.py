"""Draws one textured object that follows a path over clutter, independently of classes.

Random values come from the generator alone, never from the path, and changes between frames are
either drawn independently for each frame or as likely backwards as forwards. A frame therefore
carries no more information about the motion than the path's values at that frame.
"""

from __future__ import annotations

import dataclasses

import numpy as np

_MIN_CONTRAST = 90.0  # between the object's and the background's mean colour, in 0..255 units


@dataclasses.dataclass(frozen=True)
class Path:
    """Position, angle and size of the object in each frame; opposite frame edges are joined.

    Args:
        x: floats (frames,), centre in frame widths, modulo 1.
        y: floats (frames,), centre from the top in frame heights, modulo 1.
        angle: floats (frames,), radians, clockwise on the screen.
        radius: floats (frames,), in frame widths, below 0.45.
    """

    x: np.ndarray
    y: np.ndarray
    angle: np.ndarray
    radius: np.ndarray


@dataclasses.dataclass(frozen=True)
class Look:
    """An outline (radii at equally spaced angles) and the two-coloured pattern inside it."""

    outline: np.ndarray
    colours: np.ndarray  # (2, 3), 0..255
    waves: np.ndarray  # (2, 2): wave vectors of the pattern, in radians per radius
    phases: np.ndarray  # (2,)


def draw_video(
    path: Path, size: int, rng: np.random.Generator, look: Look | None = None
) -> np.ndarray:
    """Draws the object along the path, with background, distractors and noise.

    Args:
        path: path of the object.
        size: side of the frames in pixels.
        rng: generator of looks, background, distractors and noise.
        look: outline and pattern of the object, which is drawn in new colours; None draws a
            random one.

    Returns:
        uint8 (frames, size, size, 3), RGB.
    """
    background = _background(size, rng)
    away_from = background.mean((0, 1))
    if look is None:
        look = random_look(rng, away_from)
    else:
        look = dataclasses.replace(look, colours=_random_colours(rng, away_from))
    num_frames = len(path.x)
    frames = np.repeat(background[None], num_frames, axis=0)
    _draw_distractors(frames, rng)
    shake = rng.normal(0, 0.004, (2, num_frames))
    shaken = dataclasses.replace(path, x=path.x + shake[0], y=path.y + shake[1])
    _draw_object(frames, look, shaken)
    return _film(frames, rng)


def _background(size: int, rng: np.random.Generator) -> np.ndarray:
    """Returns clouds of colour with still objects on them: (size, size, 3)."""
    clouds = np.full((size, size, 3), 1.0) * rng.uniform(60, 195, 3)
    for cells, contrast in ((3, 22.0), (6, 14.0), (13, 9.0)):
        grid = rng.normal(0, contrast, (cells, cells, 3))
        spread = _cyclic_interpolation(cells, size)
        clouds += np.einsum("ia,jb,abc->ijc", spread, spread, grid, optimize=True)
    frame = clouds[None].astype(np.float32)
    for _ in range(rng.integers(4, 9)):
        look = random_look(rng)
        x, y, angle = rng.uniform(0, [1, 1, 2 * np.pi])
        radius = rng.uniform(0.04, 0.16)
        opacity = rng.uniform(0.25, 0.6)
        _draw_object(frame, look, Path(*np.array([[x], [y], [angle], [radius]])), opacity)
    return frame[0]


def _cyclic_interpolation(cells: int, size: int) -> np.ndarray:
    """Returns the matrix (size, cells) that interpolates values on a ring linearly."""
    place = np.arange(size) * cells / size
    left = place.astype(int)
    weights = np.zeros((size, cells))
    weights[np.arange(size), left] = 1 - (place - left)
    weights[np.arange(size), (left + 1) % cells] += place - left
    return weights


def random_look(rng: np.random.Generator, away_from: np.ndarray | None = None) -> Look:
    """Returns a random outline and pattern.

    Args:
        rng: generator.
        away_from: floats (3,), colour from which both colours keep a distance.
    """
    corners = np.sort(rng.uniform(0, 1, rng.integers(3, 8)))
    radii = rng.uniform(0.4, 1.0, len(corners))
    radii[rng.integers(len(radii))] = 1.0  # so that `radius` means the same for every outline
    outline = np.interp(np.arange(128) / 128, corners, radii, period=1)
    angles = rng.uniform(0, 2 * np.pi) + np.array([0, rng.uniform(np.pi / 3, 2 * np.pi / 3)])
    waves = rng.uniform(1.5, 4.5, 2) * np.stack([np.cos(angles), np.sin(angles)])
    if rng.random() < 0.6:
        waves[:, 1] = 0  # stripes; else checks
    return Look(outline, _random_colours(rng, away_from), waves.T, rng.uniform(-1, 1, 2))


def _random_colours(rng: np.random.Generator, away_from: np.ndarray | None) -> np.ndarray:
    while True:
        colours = rng.uniform(0, 255, (2, 3))
        if np.abs(colours[0] - colours[1]).sum() < 180:
            continue
        if away_from is None:
            return colours
        if np.linalg.norm(colours - away_from, axis=1).min() > _MIN_CONTRAST:
            return colours


def _draw_distractors(frames: np.ndarray, rng: np.random.Generator) -> None:
    """Draws small objects that shake around their positions or flicker."""
    num_frames = len(frames)
    for _ in range(rng.integers(1, 4)):
        look = random_look(rng)
        x, y, angle = rng.uniform(0, [1, 1, 2 * np.pi])
        radius = rng.uniform(0.05, 0.1)
        tremble = rng.uniform(0, [[0.03], [0.03], [0.6]]) * rng.normal(0, 1, (3, num_frames))
        flicker = rng.uniform(0.2, 1, num_frames) if rng.random() < 0.5 else np.ones(num_frames)
        path = Path(x + tremble[0], y + tremble[1], angle + tremble[2], np.full(num_frames, radius))
        _draw_object(frames, look, path, flicker)


def _draw_object(
    frames: np.ndarray, look: Look, path: Path, opacity: np.ndarray | float = 1.0
) -> None:
    """Paints the object into the frames, wrapping around their edges."""
    num_frames, size = frames.shape[:2]
    reach = int(np.ceil(path.radius.max() * size)) + 1
    box = np.arange(-reach, reach + 1)
    # Boxes of pixels around the object's centre, one a frame.
    columns, across = _box_along(path.x * size, box)
    rows, down = _box_along(path.y * size, box)
    scale = (path.radius * size).astype(np.float32)[:, None, None]
    cos, sin = (f(path.angle).astype(np.float32)[:, None, None] / scale for f in (np.cos, np.sin))
    u = across[:, None, :] * cos + down[:, :, None] * sin
    v = down[:, :, None] * cos - across[:, None, :] * sin

    turns = (np.arctan2(v, u) * (len(look.outline) / (2 * np.pi))).astype(np.float32)
    edge = np.interp(turns, np.arange(len(look.outline)), look.outline, period=len(look.outline))
    # A ramp of half a pixel on either side of the edge shows movements below a pixel.
    inside = np.clip(0.5 + (edge.astype(np.float32) - np.hypot(u, v)) * scale, 0, 1)
    inside *= np.broadcast_to(np.float32(opacity), (num_frames,))[:, None, None]

    wave = np.ones_like(u)
    for (along_u, along_v), phase in zip(look.waves, look.phases, strict=True):
        if along_u or along_v:
            wave *= np.sin(np.float32(along_u) * u + np.float32(along_v) * v + np.float32(phase))
    share = (0.5 + np.clip(3 * wave, -0.5, 0.5))[..., None]
    first, second = look.colours.astype(np.float32)
    colour = first + share * (second - first)

    index = np.arange(num_frames)[:, None, None], rows[:, :, None] % size, columns[:, None] % size
    below = frames[index]
    frames[index] = below + inside[..., None] * (colour - below)


def _box_along(centre: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns pixel indices around each centre and their distances from it, both (frames, box)."""
    nearest = np.floor(centre).astype(int)
    pixels = nearest[:, None] + box
    return pixels, (pixels + 0.5 - centre[:, None]).astype(np.float32)


def _film(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Adds slowly varying light and camera noise."""
    num_frames = len(frames)
    swell = rng.uniform(0, 0.12) * np.sin(
        rng.uniform(0, 2 * np.pi) + rng.uniform(0.1, 0.6) * np.arange(num_frames)
    )
    light = 1 + swell + rng.normal(0, 0.01, num_frames)
    noise = rng.standard_normal(frames.shape, np.float32) * np.float32(rng.uniform(2, 8))
    frames = frames * light.astype(np.float32)[:, None, None, None] + noise
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)
