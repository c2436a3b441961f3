"""Shapes of dry, chilled and frozen packs: boxes, bags, bars, rolls, egg cartons, trays."""

from millstream.demo.pictures.canvas import FLOOR, Canvas
from millstream.demo.pictures.palette import CREAM, INK, WHITE, Colour, chance, mix

FOODS: tuple[Colour, ...] = ((226, 158, 78), (214, 104, 66), (150, 176, 84), (196, 132, 82), (238, 190, 96))


def food_of(c: Canvas) -> Colour:
    """The colour of the dish on the pack, always the same for the same title."""
    return FOODS[chance(c.words.title, len(FOODS))]


def box(c: Canvas) -> None:
    """A tall box, seen a little from the side: cereal, mixes, crackers."""
    c.polygon([(206, 64), (236, 76), (236, FLOOR - 8), (206, FLOOR)], c.palette.dark)
    c.polygon([(92, 64), (122, 54), (236, 76), (206, 64)], mix(c.palette.main, WHITE, 0.35))
    c.rounded((90, 64, 208, FLOOR), 3, c.palette.main)
    c.disc((149, 222), 36, mix(c.palette.light, WHITE, 0.2))
    food = food_of(c)
    c.disc((149, 222), 25, food)
    for x, y in ((139, 214), (157, 218), (147, 232)):
        c.disc((x, y), 7, mix(food, WHITE, 0.55))
    c.label((98, 84, 200, 178))


def wide_box(c: Canvas) -> None:
    """A flat, wide box with a window on the dish: frozen meals, pasta dinners, tissue."""
    c.polygon([(50, 128), (70, 112), (270, 112), (270, 128)], mix(c.palette.main, WHITE, 0.4))
    c.rounded((48, 126, 272, 262), 4, c.palette.main)
    c.disc((214, 196), 48, mix(c.palette.light, WHITE, 0.5))
    food = food_of(c)
    c.disc((214, 196), 38, mix(food, CREAM, 0.45))
    for x, y, r in ((200, 184, 13), (224, 190, 11), (212, 208, 14)):
        c.disc((x, y), r, mix(food, INK, 0.12))
    c.label((58, 142, 156, 248))


def pizza_box(c: Canvas) -> None:
    """A pizza, whole, leaning on its flat box."""
    c.rounded((58, 62, 262, FLOOR - 2), 5, c.palette.main)
    c.disc((160, 186), 80, (226, 172, 96))
    c.disc((160, 186), 69, (214, 84, 52))
    c.disc((160, 186), 65, (246, 208, 110))
    for x, y in ((136, 160), (182, 158), (160, 188), (128, 204), (192, 206), (160, 228)):
        c.disc((x, y), 12, (196, 60, 48))
        c.disc((x - 3, y - 3), 4, (220, 100, 80))
    for x, y in ((150, 148), (204, 180), (142, 182), (176, 214)):
        c.ellipse((x - 6, y - 3, x + 6, y + 3), (96, 140, 60))
    c.text((160, 84), c.words.brand, 22, CREAM, 180)


def pillow_bag(c: Canvas) -> None:
    """A pillow bag, crimped above and below: chips, candy."""
    c.smooth([(90, 62), (160, 58), (230, 62), (226, 110), (238, 170), (228, 236), (232, FLOOR + 8), (160, FLOOR + 2),
              (88, FLOOR + 8), (92, 236), (82, 170), (94, 110)], c.palette.main)  # fmt: skip
    for x in range(96, 228, 9):
        c.line([(x, 63), (x, 72)], mix(c.palette.main, WHITE, 0.35), 2)
        c.line([(x, FLOOR - 10), (x, FLOOR - 2)], mix(c.palette.main, WHITE, 0.25), 2)
    c.smooth(
        [(96, 206), (130, 190), (170, 206), (226, 188), (230, 258), (92, 258)], mix(c.palette.dark, c.palette.main, 0.4)
    )
    for x, y, w in ((128, 222, 30), (168, 230, 34), (200, 216, 26)):
        c.ellipse((x - w / 2, y - 10, x + w / 2, y + 10), (244, 204, 104))
        c.ellipse((x - w / 2 + 4, y - 7, x + w / 2 - 6, y + 4), (252, 226, 150))
    c.label((104, 92, 216, 184), radius=16)


def sack(c: Canvas) -> None:
    """A paper sack with a folded top: flour, sugar, rice, coffee, litter."""
    c.polygon([(104, 62), (216, 62), (222, 92), (98, 92)], mix(c.palette.light, WHITE, 0.4))
    c.smooth([(98, 84), (222, 84), (232, 120), (228, 220), (234, FLOOR + 6), (220, FLOOR + 6), (100, FLOOR + 6),
    (86, FLOOR + 6),
              (92, 220), (88, 120)], mix(c.palette.light, CREAM, 0.3))  # fmt: skip
    c.polygon([(92, 206), (228, 206), (230, 262), (90, 262)], c.palette.main)
    c.rounded((98, 80, 222, 92), 2, c.palette.dark)
    c.label((106, 108, 214, 198))


def frozen_bag(c: Canvas) -> None:
    """A frosted bag with snowflakes: frozen vegetables, fries, ice."""
    c.smooth([(84, 74), (160, 70), (236, 74), (232, 130), (240, 200), (234, FLOOR + 8), (160, FLOOR + 4),
    (86, FLOOR + 8),
              (80, 200), (88, 130)], mix(c.palette.main, (120, 180, 220), 0.35))  # fmt: skip
    c.rounded((90, 78, 230, 90), 3, c.palette.dark)
    for x, y, r in ((114, 240, 14), (140, 252, 12), (168, 242, 15), (196, 252, 12), (208, 236, 11), (152, 232, 11)):
        c.disc((x, y), r, mix(c.palette.accent, WHITE, 0.25))
        c.disc((x - r / 3, y - r / 3), r / 3, WHITE)
    c.label((102, 112, 218, 208), radius=12)


def bar(c: Canvas) -> None:
    """A wrapped bar, slanted."""
    c.polygon([(38, 182), (54, 164), (66, 172), (76, 240), (64, 250), (44, 236)], mix(c.palette.main, WHITE, 0.45))
    c.polygon(
        [(282, 140), (268, 124), (254, 134), (262, 204), (276, 208), (288, 192)], mix(c.palette.main, WHITE, 0.45)
    )
    c.polygon([(60, 168), (260, 130), (270, 204), (70, 246)], c.palette.main)
    c.polygon([(60, 168), (260, 130), (262, 146), (62, 185)], mix(c.palette.main, WHITE, 0.25))
    c.polygon([(67, 228), (267, 187), (270, 204), (70, 246)], c.palette.dark)
    c.text((164, 178), c.words.brand, 26, WHITE, 150)
    c.text((166, 204), c.words.variety, 15, c.palette.light, 150)


def carton_of_eggs(c: Canvas) -> None:
    """An open egg carton."""
    for place in range(6):
        x = 74 + place * 34.4
        c.ellipse((x - 15, 146, x + 15, 196), (250, 236, 218) if place % 2 else (240, 216, 188))
    c.rounded((48, 180, 272, 262), 12, c.palette.main)
    for place in range(6):
        x = 74 + place * 34.4
        c.ellipse((x - 16, 168, x + 16, 192), mix(c.palette.main, c.palette.dark, 0.25))
        c.ellipse((x - 14, 150, x + 14, 186), (252, 240, 224) if place % 2 else (240, 216, 188))
    c.rounded((48, 184, 272, 262), 10, c.palette.main)
    c.label((104, 192, 216, 258))


def roll(c: Canvas) -> None:
    """Rolls of paper, wrapped."""
    for left, top in ((64, 150), (164, 150), (114, 74)):
        c.rounded((left, top + 16, left + 92, top + 112), 8, (250, 250, 250))
        c.ellipse((left, top, left + 92, top + 34), WHITE)
        c.ellipse((left + 32, top + 10, left + 60, top + 24), (206, 190, 168))
    c.polygon([(64, 204), (256, 204), (256, 244), (64, 244)], c.palette.main)
    c.text((160, 216), c.words.brand, 18, WHITE, 170)
    c.text((160, 234), c.words.title, 12, c.palette.light, 170)


def tray(c: Canvas, meat: Colour = (206, 78, 78), fat: Colour = (246, 214, 206)) -> None:
    """A tray of meat under film."""
    c.rounded((46, 128, 274, 262), 18, (250, 250, 250))
    c.rounded((56, 138, 264, 252), 14, (228, 232, 236))
    for left, top, right, bottom in ((66, 150, 152, 238), (122, 146, 216, 236), (178, 154, 256, 242)):
        c.ellipse((left, top, right, bottom), fat)
        c.ellipse((left + 6, top + 6, right - 6, bottom - 6), meat)
        c.arc((left + 16, top + 16, right - 22, bottom - 26), 190, 300, fat, 4)
    c.label((164, 176, 260, 250))


def poultry_tray(c: Canvas) -> None:
    """A tray of chicken."""
    tray(c, (242, 196, 168), (252, 228, 208))


def fish_tray(c: Canvas) -> None:
    """A tray of fish."""
    tray(c, (244, 150, 116), (252, 214, 192))


def ham_pack(c: Canvas, slices: Colour = (240, 164, 158)) -> None:
    """A flat pack of slices: ham, bologna, bacon, sliced cheese."""
    c.rounded((70, 84, 250, FLOOR), 10, mix(c.palette.light, WHITE, 0.6))
    for place in range(5):
        top = 150 + place * 18
        c.ellipse((86, top, 234, top + 54), slices if place % 2 else mix(slices, WHITE, 0.3))
    c.polygon([(70, 94), (250, 94), (250, 148), (70, 148)], c.palette.main)
    c.label((90, 100, 230, 180))


def sausages(c: Canvas) -> None:
    """Sausages in a pack."""
    c.rounded((52, 118, 268, 262), 12, mix(c.palette.light, WHITE, 0.6))
    for place in range(5):
        top = 136 + place * 23
        c.rounded((64, top, 256, top + 20), 10, (190, 92, 62) if place % 2 else (204, 108, 74))
        c.line([(80, top + 6), (236, top + 6)], (226, 142, 106), 2)
    c.label((108, 142, 212, 236))
