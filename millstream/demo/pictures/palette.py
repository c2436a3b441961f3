"""Colours: one harmonious palette an aisle, varied a little by brand and title, the same for the same words."""

import colorsys
import hashlib
from dataclasses import dataclass

Colour = tuple[int, int, int]

HUES = {
    "Fruit": 8, "Vegetables": 105, "Bread & Bakery": 32, "Milk & Cream": 208, "Cheese": 42, "Yogurt": 330,
    "Butter & Eggs": 46, "Meat": 355, "Deli": 14, "Fish & Seafood": 196, "Frozen Meals": 218, "Ice Cream": 312,
    "Chips & Snacks": 22, "Cookies & Crackers": 28, "Candy": 286, "Cereal & Breakfast": 36, "Pasta & Rice": 18,
    "Soups & Cans": 4, "Sauces & Spreads": 10, "Baking": 344, "Soft Drinks": 358, "Juice": 30, "Water": 202,
    "Coffee & Cocoa": 24, "Paper Goods": 186, "Cleaning": 172, "Home & Pets": 262,
}  # fmt: skip
CREAM: Colour = (252, 248, 240)
INK: Colour = (52, 46, 50)
WHITE: Colour = (255, 255, 255)


@dataclass(frozen=True)
class Palette:
    """The colours of one picture: two of the backdrop, three of the pack, one for its label's mark."""

    backdrop_top: Colour
    backdrop_bottom: Colour
    main: Colour
    dark: Colour
    light: Colour
    accent: Colour


def palette_of(aisle: str, brand: str, variety: str) -> Palette:
    """The palette of a product: the aisle gives the family, brand and variety move within it."""
    hue = HUES.get(aisle, 220)
    shift = chance(brand, 61) - 30 + chance(variety, 25) - 12
    pack = (hue + shift) % 360
    return Palette(
        backdrop_top=hsl(hue, 0.42, 0.955),
        backdrop_bottom=hsl(hue, 0.38, 0.89),
        main=hsl(pack, 0.56, 0.50 + chance(brand, 9) / 100),
        dark=hsl(pack, 0.55, 0.33),
        light=hsl(pack, 0.62, 0.80),
        accent=hsl((pack + (42, -38, 180, 28)[chance(brand, 4)]) % 360, 0.58, 0.56),
    )


def hsl(hue: float, saturation: float, lightness: float) -> Colour:
    """A colour from hue in degrees and two shares."""
    red, green, blue = colorsys.hls_to_rgb(hue / 360, lightness, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Between two colours: share 0 is the first, 1 the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def chance(words: str, choices: int) -> int:
    """A number below `choices` that looks random and is always the same for the same words."""
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:4], "big") % choices
