"""Shapes of loose things: fruit, vegetables, bread, cheese, sweets, flowers."""

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
