"""Shapes of bread, sweets, cheese, fish and flowers: what is sold as it is."""

import math

from millstream.demo.pictures.canvas import FLOOR, Canvas
from millstream.demo.pictures.palette import INK, WHITE, Colour, mix

LEAF: Colour = (104, 160, 72)


def loaf(c: Canvas, crust: Colour = (206, 148, 84)) -> None:
    """A sliced loaf in its bag."""
    c.smooth(
        [(50, 150), (70, 96), (230, 92), (272, 130), (276, FLOOR), (250, FLOOR + 6), (70, FLOOR + 6), (44, FLOOR)],
        crust,
    )
    for x in range(86, 250, 24):
        c.arc((x - 8, 104, x + 16, FLOOR + 40), 200, 330, mix(crust, INK, 0.16), 3)
    c.smooth(
        [(54, 176), (64, 108), (116, 104), (138, 130), (132, 160), (136, FLOOR + 2), (58, FLOOR + 2)],
        mix(crust, INK, 0.1),
    )
    c.smooth(
        [(62, 176), (72, 118), (112, 114), (128, 136), (122, 166), (126, FLOOR - 8), (66, FLOOR - 8)], (250, 232, 200)
    )
    c.label((148, 150, 262, 244))


def buns(c: Canvas) -> None:
    """Buns and rolls."""
    for x, y in ((106, 168), (214, 168), (160, 206), (88, 226), (232, 226)):
        c.smooth(
            [(x - 56, y + 34), (x - 58, y - 14), (x, y - 58), (x + 58, y - 14), (x + 56, y + 34), (x, y + 44)],
            (214, 152, 84),
        )
        c.smooth([(x - 40, y - 4), (x, y - 40), (x + 34, y - 10), (x, y - 12)], (238, 190, 124))
        for dx, dy in ((-16, -16), (4, -24), (20, -8), (-2, -6)):
            c.ellipse((x + dx - 4, y + dy - 2, x + dx + 4, y + dy + 2), (252, 236, 200))


def donuts(c: Canvas) -> None:
    """Donuts and sweet rolls."""
    for x, y in ((112, 200), (210, 206), (160, 132)):
        c.disc((x, y), 58, (208, 146, 84))
        c.disc((x, y - 2), 50, c.palette.light)
        c.disc((x, y), 19, mix(c.palette.backdrop_bottom, (208, 146, 84), 0.45))
        for k in range(9):
            a = k * 0.7 + x
            c.line([(x + 34 * math.cos(a), y + 34 * math.sin(a)),
            (x + 40 * math.cos(a + 0.15), y + 40 * math.sin(a + 0.15))],
                   (c.palette.accent, c.palette.main, WHITE)[k % 3], 4)  # fmt: skip


def cookies(c: Canvas) -> None:
    """Cookies."""
    for x, y, r in ((108, 196, 58), (214, 204, 56), (160, 134, 58)):
        c.disc((x, y), r, (214, 160, 96))
        c.disc((x - 2, y - 2), r - 6, (226, 176, 114))
        for k in range(8):
            a = k * 2.4 + x
            d = r * (0.2 + 0.09 * k)
            c.disc((x + d * math.cos(a), y + d * math.sin(a)), 6, (92, 58, 40))


def cake(c: Canvas) -> None:
    """A cake or pie."""
    c.rounded((64, 158, 256, FLOOR), 14, (232, 190, 128))
    c.polygon([(64, 204), (256, 204), (256, 222), (64, 222)], c.palette.light)
    c.ellipse((64, 128, 256, 196), mix(c.palette.light, WHITE, 0.5))
    for k in range(9):
        x = 76 + k * 21
        c.smooth(
            [(x - 12, 168), (x + 12, 168), (x + 10, 206 + 10 * (k % 3)), (x - 10, 206 + 10 * (k % 3))],
            mix(c.palette.light, WHITE, 0.5),
        )
    for k in range(6):
        c.disc((100 + k * 24, 152 + 8 * (k % 2)), 10, c.palette.main)


def cheese(c: Canvas) -> None:
    """A wedge of cheese."""
    c.polygon([(46, 196), (226, 106), (276, 170), (276, 182)], (252, 224, 132))
    c.polygon([(46, 196), (276, 178), (276, 258), (46, 262)], (244, 196, 78))
    for x, y, w, h in ((96, 230, 18, 13), (160, 212, 13, 10), (212, 238, 20, 14), (246, 202, 11, 9), (140, 248, 10, 7)):
        c.ellipse((x - w, y - h, x + w, y + h), (222, 166, 54))
    c.label((180, 182, 268, 252))


def flowers(c: Canvas) -> None:
    """Flowers."""
    for x, y, tone in ((112, 120, c.palette.main), (206, 124, c.palette.accent), (160, 92, c.palette.light)):
        c.line([(160, 240), (x, y)], LEAF, 6)
        for k in range(6):
            c.disc((x + 22 * math.cos(k * 1.05), y + 22 * math.sin(k * 1.05)), 18, tone)
        c.disc((x, y), 14, (250, 212, 96))
    c.polygon([(112, 200), (208, 200), (184, FLOOR + 2), (136, FLOOR + 2)], c.palette.dark)


def shrimp(c: Canvas) -> None:
    """A fish."""
    c.smooth([(50, 190), (110, 130), (210, 140), (244, 186), (210, 234), (110, 244)], (126, 170, 196))
    c.polygon([(228, 188), (286, 136), (276, 190), (286, 242)], (104, 146, 176))
    c.smooth([(70, 206), (120, 214), (210, 212), (200, 232), (120, 242)], (206, 224, 234))
    c.disc((92, 178), 9, WHITE)
    c.disc((92, 178), 5, INK)
    for x in (136, 164, 192):
        c.arc((x - 16, 160, x + 12, 212), 300, 60, (92, 136, 166), 3)
