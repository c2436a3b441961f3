"""Shapes of what holds liquids and creams: bottles, jugs, cartons, cans, jars, tubs, cups."""

from millstream.demo.pictures.canvas import FLOOR, Canvas
from millstream.demo.pictures.palette import CREAM, INK, WHITE, Colour, mix

STEEL: Colour = (205, 208, 214)


def bottle(c: Canvas, liquid: Colour | None = None) -> None:
    """A tall bottle with a neck and a cap."""
    body = liquid or c.palette.main
    c.rounded((146, 40, 174, 60), 4, c.palette.accent)
    c.smooth([(148, 58), (172, 58), (174, 92), (204, 116), (206, 150), (206, FLOOR + 6), (196, FLOOR + 6),
    (124, FLOOR + 6),
              (114, FLOOR + 6), (114, 150), (116, 116), (146, 92)], mix(body, WHITE, 0.12))  # fmt: skip
    c.rounded((116, 122, 204, FLOOR), 14, body)
    c.label((116, 148, 204, 234), radius=2)


def soda_bottle(c: Canvas) -> None:
    """A big bottle of soda: dark inside, a band around it."""
    bottle(c, mix(c.palette.dark, (30, 14, 10), 0.35))


def water_bottle(c: Canvas) -> None:
    """A clear bottle."""
    bottle(c, (186, 220, 240))


def squeeze_bottle(c: Canvas) -> None:
    """A squeezable bottle with a pointed cap: ketchup, mustard, syrup."""
    c.polygon([(154, 40), (166, 40), (172, 72), (148, 72)], c.palette.accent)
    c.rounded((138, 70, 182, 90), 5, mix(c.palette.accent, INK, 0.12))
    c.smooth([(140, 86), (180, 86), (214, 110), (212, 180), (206, FLOOR + 6), (190, FLOOR + 4), (130, FLOOR + 4),
              (114, FLOOR + 6), (108, 180), (106, 110)], c.palette.main)  # fmt: skip
    c.label((118, 140, 202, 232), radius=12)


def oil_bottle(c: Canvas) -> None:
    """A bottle of oil or syrup, golden."""
    bottle(c, (232, 184, 70))


def jug(c: Canvas, body: Colour | None = None) -> None:
    """A jug with a handle: milk by the gallon, detergent, bleach."""
    colour = body or c.palette.main
    c.rounded((128, 46, 164, 66), 5, c.palette.accent)
    c.smooth([(128, 62), (164, 62), (178, 84), (222, 104), (226, 140), (222, FLOOR + 6), (210, FLOOR + 4),
    (110, FLOOR + 4),
              (98, FLOOR + 6), (94, 140), (104, 96), (124, 80)], colour)  # fmt: skip
    c.smooth([(188, 116), (206, 116), (208, 168), (200, 178), (190, 170)], mix(c.palette.backdrop_bottom, colour, 0.25))
    c.label((104, 182, 216, 260))


def milk_jug(c: Canvas) -> None:
    """A white jug."""
    jug(c, (244, 246, 250))


def carton(c: Canvas) -> None:
    """A carton with a gable top."""
    c.polygon([(122, 46), (198, 46), (198, 62), (122, 62)], mix(c.palette.light, WHITE, 0.5))
    c.polygon([(122, 62), (198, 62), (214, 104), (106, 104)], mix(c.palette.main, WHITE, 0.3))
    c.rounded((106, 102, 214, FLOOR), 3, mix(c.palette.light, WHITE, 0.55))
    c.polygon([(106, 210), (214, 190), (214, FLOOR), (106, FLOOR)], c.palette.main)
    c.disc((160, 82), 11, c.palette.accent)
    c.label((116, 116, 204, 206))


def can(c: Canvas) -> None:
    """A food can with a paper label."""
    c.rounded((100, 100, 220, FLOOR), 12, STEEL)
    c.rounded((100, 116, 220, 258), 2, c.palette.main)
    c.ellipse((100, 92, 220, 120), mix(STEEL, WHITE, 0.45))
    c.ellipse((110, 96, 210, 116), mix(STEEL, (120, 124, 132), 0.25))
    c.label((106, 138, 214, 238), radius=3)


def low_can(c: Canvas) -> None:
    """A low can: tuna, cat food."""
    c.rounded((78, 168, 242, FLOOR), 14, STEEL)
    c.rounded((78, 184, 242, 262), 2, c.palette.main)
    c.ellipse((78, 152, 242, 190), mix(STEEL, WHITE, 0.45))
    c.ellipse((92, 157, 228, 185), mix(STEEL, (120, 124, 132), 0.25))
    c.label((104, 194, 216, 258), radius=3)


def drink_can(c: Canvas, left: float = 116, right: float = 204, top: float = 70) -> None:
    """A slim drink can."""
    c.smooth([(left + 12, top), (right - 12, top), (right + 2, top + 24), (right + 2, FLOOR - 16),
    (right - 10, FLOOR + 4),
              (left + 10, FLOOR + 4), (left - 2, FLOOR - 16), (left - 2, top + 24)], c.palette.main)  # fmt: skip
    c.ellipse((left + 8, top - 2, right - 8, top + 16), STEEL)
    c.ellipse((left + 20, top + 2, right - 20, top + 11), mix(STEEL, (110, 114, 122), 0.4))
    c.polygon([(left, 196), (right, 152), (right, 176), (left, 220)], mix(c.palette.main, WHITE, 0.75))
    middle = (left + right) / 2
    c.text((middle, 128), c.words.brand, 18, WHITE, right - left - 10)
    c.text((middle, 238), c.words.variety, 13, WHITE, right - left - 12)


def can_pack(c: Canvas) -> None:
    """A carton of drink cans, one standing before it."""
    c.rounded((44, 132, 226, 262), 6, c.palette.dark)
    c.polygon([(44, 138), (226, 138), (226, 166), (44, 190)], c.palette.main)
    c.text((120, 206), c.words.brand, 24, WHITE, 140)
    c.text((112, 232), c.words.variety, 14, c.palette.light, 130)
    drink_can(c, 198, 268, 112)


def jar(c: Canvas, inside: Colour | None = None) -> None:
    """A glass jar with a screw lid."""
    body = inside or c.palette.main
    c.rounded((100, 110, 220, FLOOR), 26, mix(body, WHITE, 0.35))
    c.rounded((106, 124, 214, FLOOR - 6), 22, body)
    c.rounded((106, 82, 214, 114), 7, c.palette.accent)
    c.rounded((106, 94, 214, 98), 1, mix(c.palette.accent, WHITE, 0.4))
    c.label((108, 146, 212, 238))


def tub(c: Canvas) -> None:
    """A wide tub with a lid: ice cream, margarine, sour cream."""
    c.polygon([(80, 148), (240, 148), (224, FLOOR), (96, FLOOR)], mix(c.palette.light, WHITE, 0.35))
    c.polygon([(86, 190), (234, 190), (224, FLOOR), (96, FLOOR)], c.palette.main)
    c.rounded((72, 124, 248, 152), 9, mix(c.palette.dark, c.palette.main, 0.5))
    c.rounded((72, 124, 248, 134), 5, mix(c.palette.main, WHITE, 0.3))
    c.label((108, 168, 212, 252), ground=CREAM)


def cup(c: Canvas) -> None:
    """A yogurt cup with a foil lid and a swirl of what is in it."""
    c.polygon([(98, 122), (222, 122), (206, FLOOR), (114, FLOOR)], (250, 250, 252))
    c.polygon([(106, 206), (214, 206), (206, FLOOR), (114, FLOOR)], c.palette.main)
    c.smooth([(104, 196), (130, 186), (160, 204), (190, 190), (216, 204), (214, 226), (106, 226)], c.palette.main)
    c.ellipse((92, 108, 228, 136), STEEL)
    c.ellipse((98, 108, 222, 130), mix(STEEL, WHITE, 0.5))
    c.text((160, 156), c.words.brand, 16, c.palette.dark, 100)
    c.text((160, 178), c.words.variety, 14, c.palette.main, 100)
    for x, y in ((136, 240), (160, 248), (184, 240)):
        c.disc((x, y), 9, c.palette.light)
        c.disc((x - 3, y - 3), 2.5, WHITE)


def juice_boxes(c: Canvas) -> None:
    """Three small drink boxes with straws."""
    for left, top, shade in ((60, 132, 0.30), (190, 132, 0.30), (118, 118, 0.0)):
        tone = mix(c.palette.main, WHITE, shade)
        c.line([(left + 66, top - 44), (left + 52, top - 22), (left + 52, top + 6)], c.palette.accent, 5)
        c.polygon([(left, top), (left + 12, top - 10), (left + 92, top - 10), (left + 84, top)], mix(tone, WHITE, 0.35))
        c.rounded((left, top, left + 84, FLOOR), 3, tone)
        c.rounded((left, top, left + 84, top + 18), 3, mix(c.palette.dark, WHITE, shade))
    c.label((124, 146, 196, 246), radius=5)
