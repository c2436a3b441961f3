"""Which shape a product gets: the first row whose words are in its name, else its aisle's own shape."""

from collections.abc import Callable
from functools import partial

from millstream.demo.pictures import baked, fruit, packs, vegetables, vessels
from millstream.demo.pictures.canvas import Canvas

Shape = Callable[[Canvas], None]

_RED, _GREEN, _GOLD = (200, 50, 50), (140, 186, 76), (238, 196, 70)

_CHEESE_SLICES = partial(packs.ham_pack, slices=(248, 204, 92))

BY_WORD: dict[str, tuple[tuple[str, Shape], ...]] = {
    "Fruit": (
        ("granny", partial(fruit.apples, colour=_GREEN)),
        ("golden delicious", partial(fruit.apples, colour=(232, 206, 90))),
        ("gala", partial(fruit.apples, colour=(222, 92, 62))), ("fuji", partial(fruit.apples, colour=(214, 100, 92))),
        ("pineapple", fruit.pineapple), ("apple", fruit.apples), ("banana", fruit.bananas),
        ("strawberr", partial(fruit.berries, colour=(214, 48, 54), seeds=True)),
        ("blueberr", partial(fruit.berries, colour=(82, 96, 168), seeds=False)),
        ("raspberr", partial(fruit.berries, colour=(204, 52, 96), seeds=False)),
        ("cherr", partial(fruit.berries, colour=(160, 28, 48), seeds=False)),
        ("green grape", partial(fruit.grapes, colour=(166, 200, 96))),
        ("red grape", partial(fruit.grapes, colour=(162, 52, 88))),
        ("grape,", partial(fruit.grapes, colour=(84, 60, 110))),
        ("black grape", partial(fruit.grapes, colour=(84, 60, 110))),
        ("grapefruit", partial(fruit.round_fruit, colour=(244, 170, 110), inside=(236, 110, 98))),
        ("lemon", partial(fruit.round_fruit, colour=(248, 216, 74), inside=(252, 232, 120))),
        ("lime", partial(fruit.round_fruit, colour=(132, 184, 70), inside=(196, 222, 120))),
        ("orange", partial(fruit.round_fruit, colour=(244, 148, 42), inside=(250, 172, 70))),
        ("tange", partial(fruit.round_fruit, colour=(244, 132, 42), inside=(250, 160, 62))),
        ("clementine", partial(fruit.round_fruit, colour=(244, 132, 42), inside=(250, 160, 62))),
        ("plum", partial(fruit.apples, colour=(112, 58, 116))),
        ("peach", partial(fruit.apples, colour=(246, 168, 108))),
        ("nectarine", partial(fruit.apples, colour=(238, 132, 82))),
        ("mango", partial(fruit.pear, colour=(246, 176, 76))),
        ("avocado", partial(fruit.pear, colour=(72, 104, 62))),
        ("kiwi", partial(vegetables.roots, colour=(148, 112, 72))),
        ("pear", partial(fruit.pear, colour=(186, 200, 88))), ("bartlett", partial(fruit.pear, colour=(222, 206, 90))),
        ("anjou", partial(fruit.pear, colour=(170, 196, 90))),
        ("watermelon", partial(fruit.melon, rind=(92, 156, 84), flesh=(236, 82, 86))),
        ("cantaloupe", partial(fruit.melon, rind=(222, 196, 144), flesh=(248, 168, 96))),
        ("honeydew", partial(fruit.melon, rind=(206, 220, 160), flesh=(190, 222, 140))),
        ("melon", partial(fruit.melon, rind=(222, 196, 144), flesh=(248, 168, 96))),
        ("raisin", packs.box), ("dried", packs.pillow_bag), ("soup", vessels.tub), ("fruit", vessels.tub),
    ),
    "Vegetables": (
        ("banana", fruit.bananas), ("berries", partial(fruit.berries, colour=(214, 48, 54), seeds=True)),
        ("carrot", vegetables.carrots), ("corn", vegetables.corn), ("mushroom", vegetables.mushrooms),
        ("broccoli", vegetables.broccoli),
        ("cauliflower", partial(vegetables.broccoli, colour=(240, 232, 210))),
        ("green bell", partial(vegetables.peppers, colour=(96, 160, 70))),
        ("red bell", partial(vegetables.peppers, colour=(208, 52, 48))),
        ("yellow bell", partial(vegetables.peppers, colour=(246, 196, 60))),
        ("pepper", partial(vegetables.peppers, colour=(84, 148, 66))),
        ("red onion", partial(vegetables.roots, colour=(156, 72, 108))), ("green onion", vegetables.greens),
        ("yellow onion", partial(vegetables.roots, colour=(216, 160, 80))),
        ("onion", partial(vegetables.roots, colour=(240, 228, 206))),
        ("garlic", partial(vegetables.roots, colour=(246, 238, 228))),
        ("radish", partial(vegetables.roots, colour=(214, 62, 96))),
        ("sweet", partial(vegetables.roots, colour=(206, 116, 72))),
        ("red potato", partial(vegetables.roots, colour=(186, 88, 84))),
        ("potato", partial(vegetables.roots, colour=(206, 166, 112))),
        ("tomato", partial(fruit.round_fruit, colour=(222, 62, 48), inside=(236, 102, 78))),
        ("cucumber", vegetables.cucumbers), ("zucchini", vegetables.cucumbers),
        ("squash", partial(vegetables.cucumbers, colour=(240, 200, 80))),
        ("salad", packs.frozen_bag), ("coleslaw", packs.frozen_bag), ("cider", vessels.jug), ("dip", vessels.tub),
        ("tofu", packs.box),
        ("cut veg", vessels.tub), ("asparagus", vegetables.greens),
    ),
    "Bread & Bakery": (
        ("bun", baked.buns), ("roll", baked.buns), ("bagel", baked.donuts), ("donut", baked.donuts),
        ("danish", baked.donuts),
        ("croissant", baked.buns), ("muffin", baked.buns), ("snack cake", packs.wide_box), ("cookie", baked.cookies),
        ("cake", baked.cake), ("pie", baked.cake), ("tortilla", packs.ham_pack),
        ("wheat", partial(baked.loaf, crust=(176, 118, 66))), ("rye", partial(baked.loaf, crust=(140, 92, 58))),
    ),
    "Milk & Cream": (
        ("gal", vessels.milk_jug), ("sour cream", vessels.tub), ("cottage", vessels.tub), ("dip", vessels.tub),
        ("pudding", vessels.cup), ("evaporated", vessels.can), ("whipped", vessels.drink_can),
        ("tortilla", packs.ham_pack),
        ("dessert", vessels.cup), ("creamer", vessels.squeeze_bottle),
    ),
    "Cheese": (
        ("singles", _CHEESE_SLICES), ("slice", _CHEESE_SLICES), ("shredded", packs.pillow_bag),
        ("cream cheese", packs.wide_box),
        ("grated", vessels.jar), ("string", packs.sausages), ("loaf", packs.wide_box),
    ),
    "Butter & Eggs": (
        ("egg", packs.carton_of_eggs), ("squeeze", vessels.squeeze_bottle), ("tub", vessels.tub),
        ("dough", vessels.can),
        ("bagel", baked.donuts),
    ),
    "Meat": (
        ("frozen", packs.frozen_bag), ("bacon", packs.ham_pack), ("hot dog", packs.sausages),
        ("sausage", packs.sausages),
        ("sandwich", packs.wide_box), ("chicken", packs.poultry_tray), ("turkey", packs.poultry_tray),
        ("pork", partial(packs.tray, meat=(232, 140, 132))), ("ham", packs.ham_pack),
    ),
    "Deli": (
        ("cheese", baked.cheese), ("chicken", packs.poultry_tray), ("salad", vessels.tub), ("side dish", vessels.tub),
        ("olive", vessels.tub), ("kit", packs.wide_box), ("dinner", packs.wide_box), ("sauerkraut", vessels.can),
    ),
    "Fish & Seafood": (("can", vessels.low_can), ("shrimp", packs.frozen_bag), ("frozen", packs.frozen_bag),
    ("salmon", packs.fish_tray)),
    "Frozen Meals": (
        ("pizza roll", packs.wide_box), ("pizza", packs.pizza_box), ("vegetable", packs.frozen_bag),
        ("fries", packs.frozen_bag),
        ("brown", packs.frozen_bag), ("tots", packs.frozen_bag), ("ice", packs.frozen_bag),
        ("nugget", packs.frozen_bag),
        ("juice", vessels.can), ("corn dog", packs.wide_box), ("garlic bread", partial(baked.loaf)),
    ),
    "Ice Cream": (("bar", packs.wide_box), ("cone", packs.wide_box), ("sandwich", packs.wide_box),
    ("pop", packs.wide_box)),
    "Chips & Snacks": (("dip", vessels.jar), ("stacked", vessels.drink_can), ("multipack", packs.wide_box),
    ("ranch mix", packs.bar)),
    "Cookies & Crackers": (("cracker", packs.box), ("pack", packs.bar)),
    "Candy": (("multipack", packs.pillow_bag), ("mix", packs.pillow_bag), ("bag", packs.pillow_bag)),
    "Cereal & Breakfast": (("syrup", vessels.oil_bottle), ("bar", packs.wide_box), ("pastr", packs.wide_box),
    ("snack", packs.wide_box)),
    "Pasta & Rice": (("sauce", vessels.jar), ("noodle", packs.pillow_bag), ("rice", packs.sack),
    ("macaroni &", packs.box), ("mix", packs.box)),
    "Soups & Cans": (
        ("ramen", packs.bar), ("soup mix", packs.box), ("broth", vessels.carton), ("cups", vessels.cup),
        ("olive", vessels.jar),
        ("chunky", vessels.can),
    ),
    "Sauces & Spreads": (
        ("ketchup", vessels.squeeze_bottle), ("mustard", vessels.squeeze_bottle), ("honey", vessels.squeeze_bottle),
        ("bbq", vessels.bottle), ("hot sauce", vessels.bottle), ("steak", vessels.bottle), ("dressing", vessels.bottle),
        ("gravy mix", packs.bar), ("seasoning", packs.bar), ("refried", vessels.can), ("shells", packs.box),
        ("salt", vessels.can),
        ("tortilla", packs.ham_pack), ("pizza sauce", vessels.can), ("spice", vessels.jar),
    ),
    "Baking": (
        ("oil", vessels.oil_bottle), ("flour", packs.sack), ("sugar", packs.sack), ("morsel", packs.pillow_bag),
        ("marshmallow", packs.pillow_bag), ("pudding", vessels.cup),
    ),
    "Soft Drinks": (
        ("big pack", vessels.can_pack), ("six pack", vessels.can_pack), ("cans", vessels.can_pack),
        ("drink mix", packs.bar),
        ("iced tea", partial(vessels.bottle, liquid=(190, 112, 48))), ("sports", vessels.bottle),
        ("club", vessels.water_bottle),
        ("tonic", vessels.water_bottle), ("multipack", vessels.can_pack),
    ),
    "Juice": (("boxes", vessels.juice_boxes), ("punch", vessels.jug), ("drink", vessels.jug), ("tea", vessels.jug),
    ("tomato", vessels.can)),
    "Water": (("gal", vessels.jug),),
    "Coffee & Cocoa": (("syrup", vessels.squeeze_bottle), ("ground", vessels.can), ("creamer", vessels.jar)),
    "Paper Goods": (
        ("toilet", packs.roll), ("towel", packs.roll), ("bags", packs.wide_box), ("foil", packs.wide_box),
        ("cup", vessels.cup),
        ("plate", packs.wide_box), ("napkin", packs.wide_box), ("tissue", packs.wide_box),
    ),
    "Cleaning": (("sheets", packs.box), ("dish", vessels.squeeze_bottle)),
    "Home & Pets": (
        ("cat food", vessels.low_can), ("litter", packs.sack), ("water", vessels.jug), ("formula", vessels.can),
        ("flower", baked.flowers),
        ("rose", baked.flowers), ("charcoal", packs.sack),
    ),
}  # fmt: skip

BY_AISLE: dict[str, Shape] = {
    "Fruit": partial(fruit.round_fruit, colour=_RED, inside=_GOLD), "Vegetables": vegetables.greens,
    "Bread & Bakery": baked.loaf,
    "Milk & Cream": vessels.carton, "Cheese": baked.cheese, "Yogurt": vessels.cup, "Butter & Eggs": packs.wide_box,
    "Meat": packs.tray, "Deli": packs.ham_pack, "Fish & Seafood": baked.shrimp, "Frozen Meals": packs.wide_box,
    "Ice Cream": vessels.tub, "Chips & Snacks": packs.pillow_bag, "Cookies & Crackers": baked.cookies,
    "Candy": packs.bar,
    "Cereal & Breakfast": packs.box, "Pasta & Rice": packs.box, "Soups & Cans": vessels.can,
    "Sauces & Spreads": vessels.jar,
    "Baking": packs.box, "Soft Drinks": vessels.soda_bottle, "Juice": vessels.carton, "Water": vessels.water_bottle,
    "Coffee & Cocoa": packs.sack, "Paper Goods": packs.roll, "Cleaning": vessels.jug, "Home & Pets": packs.box,
}  # fmt: skip


def shape_of(aisle: str, title: str) -> Shape:
    """The shape of a product by its aisle and title."""
    name = title.lower()
    for word, shape in BY_WORD.get(aisle, ()):
        if word in name:
            return shape
    return BY_AISLE.get(aisle, packs.box)
