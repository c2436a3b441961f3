"""Shapes of loose fruit."""

import math

from millstream.demo.pictures.canvas import FLOOR, Canvas
from millstream.demo.pictures.palette import INK, WHITE, Colour, mix

LEAF: Colour = (104, 160, 72)
STEM: Colour = (120, 88, 56)


def apples(c: Canvas, colour: Colour = (206, 52, 52)) -> None:
    """Three apples."""
    for x, y, r, shade in ((112, 196, 50, 0.12), (212, 198, 48, 0.06), (160, 208, 58, 0.0)):
        tone = mix(colour, WHITE, shade)
        c.line([(x, y - r + 8), (x + 6, y - r - 14)], STEM, 5)
        c.smooth([(x + 4, y - r - 6), (x + 30, y - r - 22), (x + 36, y - r - 2), (x + 14, y - r + 6)], LEAF)
        c.smooth([(x - r, y - r), (x, y - r + 14), (x + r, y - r), (x + r + 6, y + 6), (x + r * 0.6, y + r + 10),
        (x, y + r),
                  (x - r * 0.6, y + r + 10), (x - r - 6, y + 6)], tone)  # fmt: skip
        c.ellipse((x - r * 0.6, y - r * 0.6, x - r * 0.25, y - r * 0.1), mix(tone, WHITE, 0.5))


def round_fruit(c: Canvas, colour: Colour, inside: Colour) -> None:
    """Round fruit, one cut open: oranges, lemons, limes, grapefruit, peaches, plums, tomatoes."""
    c.disc((118, 188), 58, colour)
    c.ellipse((88, 150, 112, 178), mix(colour, WHITE, 0.45))
    c.smooth([(118, 136), (146, 118), (158, 134), (134, 146)], LEAF)
    c.disc((206, 212), 58, colour)
    c.disc((206, 212), 51, mix(inside, WHITE, 0.65))
    for place in range(8):
        start = place * math.pi / 4
        ends = [(206 + 46 * math.cos(start + a), 212 + 46 * math.sin(start + a)) for a in (0.07, 0.4, 0.71)]
        c.polygon([(206 + 5 * math.cos(start + 0.4), 212 + 5 * math.sin(start + 0.4)), *ends], inside)


def bananas(c: Canvas) -> None:
    """A hand of bananas."""
    for shift, colour in ((0, (228, 178, 40)), (18, (240, 196, 56)), (36, (250, 214, 84))):
        c.smooth([(206 + shift / 3, 70), (222 + shift / 3, 74), (232 + shift / 2, 150), (196 + shift, 232 + shift / 3),
                  (110 + shift / 2, 262), (66 + shift / 2, 240), (70 + shift / 2, 226), (120 + shift / 2, 224),
                  (172, 190),
                  (196, 140)], colour)  # fmt: skip
    c.rounded((204, 58, 226, 84), 5, STEM)


def berries(c: Canvas, colour: Colour, seeds: bool) -> None:
    """A punnet of berries."""
    for row, (count, y) in enumerate(((4, 148), (5, 176), (6, 204))):
        for place in range(count):
            x = 160 + (place - (count - 1) / 2) * 34
            tone = mix(colour, WHITE, 0.10 * ((place + row) % 3))
            c.disc((x, y), 22, tone)
            c.disc((x - 7, y - 8), 5, mix(tone, WHITE, 0.5))
            if seeds:
                for dx, dy in ((2, -6), (8, 4), (-6, 6), (0, 12)):
                    c.ellipse((x + dx - 1.5, y + dy - 2.5, x + dx + 1.5, y + dy + 2.5), (250, 220, 130))
                c.polygon([(x - 12, y - 18), (x, y - 26), (x + 12, y - 18), (x, y - 12)], LEAF)
    c.polygon([(58, 206), (262, 206), (246, FLOOR), (74, FLOOR)], (214, 226, 232))
    for x in range(80, 244, 18):
        c.line([(x, 212), (x, 262)], (196, 210, 218), 3)


def grapes(c: Canvas, colour: Colour) -> None:
    """A bunch of grapes."""
    c.line([(160, 60), (162, 104)], STEM, 7)
    c.smooth([(164, 84), (206, 58), (232, 92), (204, 122), (172, 108)], LEAF)
    for count, y in ((5, 120), (6, 148), (5, 176), (4, 204), (3, 230), (1, 254)):
        for place in range(count):
            x = 160 + (place - (count - 1) / 2) * 29
            tone = mix(colour, WHITE, 0.08 * ((place * 7 + count) % 3))
            c.disc((x, y), 19, tone)
            c.disc((x - 6, y - 7), 4.5, mix(tone, WHITE, 0.55))


def melon(c: Canvas, rind: Colour, flesh: Colour) -> None:
    """A melon and a slice of it."""
    c.disc((140, 178), 86, rind)
    for place in range(-2, 3):
        c.arc((140 - 14 - abs(place) * 26, 94, 140 + 14 + abs(place) * 26, 262), 90 if place < 0 else 270,
        270 if place < 0 else 90,
              mix(rind, INK, 0.22), 4)  # fmt: skip
    c.polygon([(150, FLOOR), (290, FLOOR), (222, 162)], rind)
    c.polygon([(162, FLOOR - 8), (278, FLOOR - 8), (222, 172)], mix(flesh, WHITE, 0.6))
    c.polygon([(172, FLOOR - 14), (268, FLOOR - 14), (222, 180)], flesh)
    for x, y in ((208, 232), (226, 216), (238, 240), (222, 246)):
        c.ellipse((x - 3, y - 5, x + 3, y + 5), (60, 44, 40))


def pineapple(c: Canvas) -> None:
    """A pineapple."""
    for dx, tip in ((-44, 66), (44, 66), (-24, 44), (24, 44), (0, 32)):
        c.polygon([(148, 128), (172, 128), (160 + dx, tip)], mix(LEAF, (40, 100, 50), abs(dx) / 60))
    c.ellipse((104, 112, 216, FLOOR + 4), (232, 172, 60))
    for y in range(132, 262, 24):
        for x in range(116, 210, 24):
            off = 12 if (y // 24) % 2 else 0
            if ((x + off - 160) / 52) ** 2 + ((y - 194) / 76) ** 2 < 0.9:
                c.polygon([(x + off, y - 9), (x + off + 9, y), (x + off, y + 9), (x + off - 9, y)], (204, 132, 44))


def pear(c: Canvas, colour: Colour) -> None:
    """Pears, or an avocado by its colour."""
    for x, shade in ((112, 0.15), (204, 0.0)):
        tone = mix(colour, WHITE, shade)
        c.line([(x, 100), (x + 6, 78)], STEM, 5)
        c.smooth([(x - 20, 92), (x + 20, 92), (x + 30, 150), (x + 62, 196), (x + 50, 272), (x, 276), (x - 50, 272),
        (x - 62, 196),
                  (x - 30, 150)], tone)  # fmt: skip
        c.ellipse((x - 34, 196, x - 18, 226), mix(tone, WHITE, 0.45))
