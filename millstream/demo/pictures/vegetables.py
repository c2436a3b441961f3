"""Shapes of loose vegetables."""

import math

from millstream.demo.pictures.canvas import FLOOR, Canvas
from millstream.demo.pictures.palette import INK, WHITE, Colour, mix

LEAF: Colour = (104, 160, 72)


def carrots(c: Canvas) -> None:
    """A bunch of carrots."""
    for dx in (-40, -14, 14, 40):
        c.smooth([(150 + dx, 100), (160 + dx, 60), (170 + dx * 1.4, 46), (176 + dx, 96)], LEAF)
    for dx, shade in ((-52, 0.1), (0, 0.0), (52, 0.06)):
        tone = mix((238, 128, 44), WHITE, shade)
        c.smooth([(132 + dx, 96), (188 + dx, 96), (184 + dx, 150), (164 + dx * 0.75, FLOOR + 14),
        (154 + dx * 0.75, FLOOR + 14),
                  (136 + dx, 150)], tone)  # fmt: skip
        for y in (130, 158, 186, 214):
            c.line([(146 + dx * 0.95, y), (166 + dx * 0.95, y + 2)], (206, 100, 30), 3)


def peppers(c: Canvas, colour: Colour) -> None:
    """Bell peppers."""
    for x, y, shade in ((112, 178, 0.12), (204, 190, 0.0)):
        tone = mix(colour, WHITE, shade)
        c.line([(x, y - 66), (x + 8, y - 88)], LEAF, 10)
        c.smooth([(x - 62, y - 62), (x - 20, y - 66), (x, y - 52), (x + 20, y - 66), (x + 62, y - 62), (x + 58, y + 30),
        (x + 34, y + 86),
                  (x, y + 74), (x - 34, y + 86), (x - 58, y + 30)], tone)  # fmt: skip
        c.line([(x, y - 48), (x - 2, y + 62)], mix(tone, INK, 0.2), 3)
        c.ellipse((x - 42, y - 40, x - 28, y + 6), mix(tone, WHITE, 0.5))


def roots(c: Canvas, colour: Colour) -> None:
    """Potatoes, onions, mushrooms caps, garlic: a heap of round roots."""
    for x, y, w, h in (
        (104, 216, 52, 42),
        (214, 218, 54, 42),
        (160, 224, 56, 46),
        (132, 170, 50, 40),
        (190, 172, 50, 40),
    ):
        tone = mix(colour, WHITE, 0.06 * ((x + y) % 4))
        c.ellipse((x - w, y - h, x + w, y + h), tone)
        c.arc((x - w * 0.7, y - h * 0.75, x + w * 0.2, y + h * 0.2), 190, 280, mix(tone, WHITE, 0.5), 4)
        for dx, dy in ((14, 6), (-10, 16), (24, -8)):
            c.ellipse((x + dx - 3, y + dy - 2, x + dx + 3, y + dy + 2), mix(tone, INK, 0.22))


def greens(c: Canvas, colour: Colour = (122, 176, 74)) -> None:
    """A head of leaves: lettuce, spinach, cabbage, herbs, celery."""
    for x, y, r, shade in (
        (104, 190, 56, 0.0),
        (216, 190, 56, 0.0),
        (130, 146, 54, 0.12),
        (190, 146, 54, 0.12),
        (160, 196, 72, 0.24),
    ):
        tone = mix(colour, WHITE, shade)
        ring = [
            (
                x + r * (1.0 + 0.16 * (-1) ** k) * math.cos(k * math.pi / 9),
                y + r * (1.0 + 0.16 * (-1) ** k) * math.sin(k * math.pi / 9),
            )
            for k in range(18)
        ]
        c.smooth(ring, tone)
        c.line([(x, y + r * 0.7), (x, y - r * 0.5)], mix(tone, WHITE, 0.5), 4)
        for dy in (-0.2, 0.15, 0.45):
            c.line([(x, y + r * dy), (x - r * 0.4, y + r * (dy - 0.28))], mix(tone, WHITE, 0.4), 2.5)
            c.line([(x, y + r * dy), (x + r * 0.4, y + r * (dy - 0.28))], mix(tone, WHITE, 0.4), 2.5)


def broccoli(c: Canvas, colour: Colour = (84, 146, 70)) -> None:
    """A head of broccoli, or cauliflower by its colour."""
    c.smooth([(134, 186), (186, 186), (182, FLOOR + 12), (138, FLOOR + 12)], (168, 200, 120))
    for x, y, r in (
        (102, 158, 42),
        (218, 158, 42),
        (134, 116, 44),
        (188, 116, 44),
        (160, 160, 50),
        (126, 190, 30),
        (196, 190, 30),
    ):
        c.disc((x, y), r, mix(colour, INK, 0.06 * ((x + y) % 3)))
        for dx, dy in ((-0.4, -0.4), (0.3, -0.5), (0.0, 0.1), (0.5, 0.1), (-0.5, 0.2)):
            c.disc((x + dx * r, y + dy * r), r * 0.2, mix(colour, WHITE, 0.22))


def cucumbers(c: Canvas, colour: Colour = (92, 150, 70)) -> None:
    """Cucumbers or squash, and slices."""
    for dy, shade in ((0, 0.0), (44, 0.14)):
        c.smooth([(58, 126 + dy), (110, 112 + dy), (250, 136 + dy), (284, 160 + dy), (256, 184 + dy), (120, 164 + dy),
        (60, 148 + dy)],
                 mix(colour, WHITE, shade))  # fmt: skip
        c.line([(92, 132 + dy), (240, 156 + dy)], mix(colour, WHITE, 0.4), 3)
    for x in (108, 168, 226):
        c.disc((x, 242), 28, colour)
        c.disc((x, 242), 23, (226, 240, 190))
        for k in range(6):
            c.disc((x + 11 * math.cos(k * 1.05), 242 + 11 * math.sin(k * 1.05)), 2.6, (190, 212, 140))


def mushrooms(c: Canvas) -> None:
    """Mushrooms."""
    for x, y, r in ((106, 190, 44), (216, 194, 42), (160, 206, 56)):
        c.rounded((x - r * 0.32, y, x + r * 0.32, y + r * 1.15), 10, (246, 236, 222))
        c.smooth(
            [
                (x - r, y + 14),
                (x - r, y - r * 0.7),
                (x, y - r * 1.1),
                (x + r, y - r * 0.7),
                (x + r, y + 14),
                (x, y + 20),
            ],
            (214, 186, 152),
        )
        c.ellipse((x - r * 0.55, y - r * 0.6, x - r * 0.1, y - r * 0.25), (236, 216, 190))


def corn(c: Canvas) -> None:
    """Corn on the cob."""
    c.ellipse((122, 62, 198, FLOOR), (246, 204, 74))
    for y in range(80, 256, 13):
        for x in range(130, 196, 13):
            if ((x - 158) / 36) ** 2 + ((y - 167) / 100) ** 2 < 0.95:
                c.disc((x, y), 5.4, (252, 224, 120) if (x + y) % 2 else (236, 188, 56))
    c.smooth([(92, 150), (120, 130), (150, 230), (158, FLOOR + 12), (120, FLOOR + 6)], LEAF)
    c.smooth([(228, 150), (200, 130), (170, 230), (162, FLOOR + 12), (200, FLOOR + 6)], mix(LEAF, INK, 0.12))
