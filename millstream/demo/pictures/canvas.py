"""The sheet that shapes draw on: coordinates from 0 to 320, drawn twice as large and scaled down for smooth edges.

A shape draws flat; `finish` gives all shapes the same light from the upper left, the same floor and the same shadow.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from millstream.demo.pictures.palette import CREAM, INK, Colour, Palette, mix

SIZE = 320
SCALE = 2
FLOOR = 272
MANY_LINES = 3
Box = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True)
class Words:
    """What a label says."""

    brand: str
    title: str
    variety: str
    size: str


class Canvas:
    """A transparent layer for the product. All coordinates are in picture units (0..320), y downwards."""

    def __init__(self, palette: Palette, words: Words):
        self.palette = palette
        self.words = words
        self._layer = Image.new("RGBA", (SIZE * SCALE, SIZE * SCALE), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self._layer)

    def rounded(self, box: Box, radius: float, colour: Colour) -> None:
        """A rectangle with round corners."""
        self._draw.rounded_rectangle([v * SCALE for v in box], radius * SCALE, fill=colour)

    def ellipse(self, box: Box, colour: Colour) -> None:
        """An ellipse in its box."""
        self._draw.ellipse([v * SCALE for v in box], fill=colour)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """A circle."""
        x, y = centre
        self.ellipse((x - radius, y - radius, x + radius, y + radius), colour)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled polygon."""
        self._draw.polygon([(x * SCALE, y * SCALE) for x, y in points], fill=colour)

    def smooth(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled closed curve through the middles of a polygon's sides (quadratic B-spline)."""
        ring = np.asarray(points, dtype=float)
        after, before = np.roll(ring, -1, axis=0), np.roll(ring, 1, axis=0)
        steps = np.linspace(0, 1, 12, endpoint=False)[:, None]
        curve = [
            (1 - steps) ** 2 * (b + p) / 2 + 2 * (1 - steps) * steps * p + steps**2 * (p + a) / 2
            for b, p, a in zip(before, ring, after, strict=True)
        ]
        self.polygon([(float(x), float(y)) for x, y in np.concatenate(curve)], colour)

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A line with round joints."""
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self._draw.line(scaled, fill=colour, width=round(width * SCALE), joint="curve")
        for x, y in (scaled[0], scaled[-1]):
            half = width * SCALE / 2
            self._draw.ellipse((x - half, y - half, x + half, y + half), fill=colour)

    def arc(self, box: Box, start: float, end: float, colour: Colour, width: float) -> None:
        """A part of an ellipse's outline; degrees from three o'clock, clockwise."""
        self._draw.arc([v * SCALE for v in box], start, end, fill=colour, width=round(width * SCALE))

    def text(self, centre: Point, text: str, size: float, colour: Colour, width: float) -> None:
        """Text around a point, made smaller until it fits the width."""
        while True:
            font = font_of(round(size * SCALE))
            if font.getlength(text) <= width * SCALE or size <= 7:
                break
            size -= 1
        self._draw.text((centre[0] * SCALE, centre[1] * SCALE), text, font=font, fill=colour, anchor="mm")

    def label(self, box: Box, ground: Colour = CREAM, radius: float = 7) -> None:
        """A label with the brand's mark, its name, and what is inside."""
        left, top, right, bottom = box
        width, height, middle = right - left, bottom - top, (left + right) / 2
        self.rounded(box, radius, ground)
        self.rounded((left, top, right, top + height * 0.30), radius, self.palette.dark)
        self.polygon(
            [
                (left, top + height * 0.2),
                (right, top + height * 0.2),
                (right, top + height * 0.30),
                (left, top + height * 0.30),
            ],
            self.palette.dark,
        )
        self.text((middle, top + height * 0.155), self.words.brand, min(17, height * 0.17), ground, width - 10)
        lines = wrapped(self.words.title, 14)
        step = min(17.0, height * (0.17 if len(lines) < MANY_LINES else 0.135))
        start = top + height * 0.52 - (len(lines) - 1) * step / 2
        for place, line in enumerate(lines):
            self.text((middle, start + place * step), line, min(16, step * 0.95), INK, width - 10)
        self.rounded(
            (middle - width * 0.16, bottom - height * 0.25, middle + width * 0.16, bottom - height * 0.235),
            1,
            self.palette.accent,
        )
        self.text(
            (middle, bottom - height * 0.13),
            self.words.size,
            min(11, height * 0.11),
            mix(INK, ground, 0.35),
            width - 12,
        )

    def finish(self) -> Image.Image:
        """The whole picture: backdrop, shadow, and the product in the light."""
        sheet = _backdrop(self.palette.backdrop_top, self.palette.backdrop_bottom).copy()
        product = self._layer.resize((SIZE, SIZE), Image.Resampling.BOX)
        alpha = product.getchannel("A")
        extent = alpha.getbbox() or (0, 0, SIZE, SIZE)
        shadow = _shadow(extent[2] - extent[0])
        sheet.paste(
            mix(self.palette.backdrop_bottom, INK, 0.55), (extent[0] - 24, min(extent[3], FLOOR + 8) - 26), shadow
        )
        lit = ImageChops.multiply(product.convert("RGB"), _light(extent[0], extent[2]))
        lit = ImageChops.screen(lit, _shine(extent[0], extent[2]))
        sheet.paste(lit, (0, 0), alpha)
        return sheet


def wrapped(text: str, width: int) -> list[str]:
    """At most three lines of about `width` letters."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines[:3]


@functools.lru_cache(maxsize=64)
def font_of(size: int) -> ImageFont.FreeTypeFont:
    """The font that Pillow carries, at a size in pixels."""
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("found a Pillow without FreeType; expected a build with it: reinstall pillow")
    return font


@functools.lru_cache(maxsize=64)
def _backdrop(top: Colour, bottom: Colour) -> Image.Image:
    rows = np.linspace(0, 1, SIZE)[:, None, None]
    columns = np.linspace(-1, 1, SIZE)[None, :, None]
    wall = np.asarray(top) * (1 - rows) + np.asarray(bottom) * rows + 8 * (1 - columns**2) * (1 - rows)
    floor = np.clip((np.arange(SIZE) - 226) / 60, 0, 1)[:, None, None]
    wall = wall * (1 - 0.045 * floor)
    return Image.fromarray(np.broadcast_to(np.clip(wall, 0, 255), (SIZE, SIZE, 3)).astype(np.uint8))


@functools.lru_cache(maxsize=320)
def _shadow(width: int) -> Image.Image:
    mask = Image.new("L", (width + 48, 52), 0)
    ImageDraw.Draw(mask).ellipse((20, 17, width + 28, 37), fill=120)
    return mask.filter(ImageFilter.GaussianBlur(7))


@functools.lru_cache(maxsize=512)
def _light(left: int, right: int) -> Image.Image:
    across = np.clip((np.arange(SIZE) - left) / max(1, right - left), 0, 1)
    shade = 1 - 0.20 * np.clip((across - 0.55) / 0.45, 0, 1) ** 1.5 - 0.10 * np.clip((0.10 - across) / 0.10, 0, 1)
    down = 1 - 0.06 * np.linspace(0, 1, SIZE) ** 2
    grey = (255 * shade[None, :] * down[:, None]).astype(np.uint8)
    return Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2))


@functools.lru_cache(maxsize=512)
def _shine(left: int, right: int) -> Image.Image:
    across = (np.arange(SIZE) - left) / max(1, right - left)
    band = 26 * np.exp(-(((across - 0.20) / 0.09) ** 2))
    grey = np.broadcast_to(band[None, :], (SIZE, SIZE)).astype(np.uint8)
    return Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2))
