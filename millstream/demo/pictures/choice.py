"""Which shape a product gets: the first row whose words are in its name, else its aisle's own shape."""

from collections.abc import Callable
from functools import partial

from millstream.demo.pictures import fresh, packs, vessels
from millstream.demo.pictures.canvas import Canvas

Shape = Callable[[Canvas], None]

_RED, _GREEN, _GOLD = (200, 50, 50), (140, 186, 76), (238, 196, 70)

BY_WORD: dict[str, tuple[tuple[str, Shape], ...]] = {
    "Fruit": (
        ("granny", partial(fresh.apples, colour=_GREEN)),
        ("golden delicious", partial(fresh.apples, colour=(232, 206, 90))),
        ("gala", partial(fresh.apples, colour=(222, 92, 62))), ("fuji", partial(fresh.apples, colour=(214, 100, 92))),
        ("pineapple", fresh.pineapple), ("apple", fresh.apples), ("banana", fresh.bananas),
        ("strawberr", partial(fresh.berries, colour=(214, 48, 54), seeds=True)),
        ("blueberr", partial(fresh.berries, colour=(82, 96, 168), seeds=False)),
        ("raspberr", partial(fresh.berries, colour=(204, 52, 96), seeds=False)),
        ("cherr", partial(fresh.berries, colour=(160, 28, 48), seeds=False)),
        ("green grape", partial(fresh.grapes, colour=(166, 200, 96))),
        ("red grape", partial(fresh.grapes, colour=(162, 52, 88))),
        ("grape,", partial(fresh.grapes, colour=(84, 60, 110))),
        ("black grape", partial(fresh.grapes, colour=(84, 60, 110))),
        ("grapefruit", partial(fresh.round_fruit, colour=(244, 170, 110), inside=(236, 110, 98))),
        ("lemon", partial(fresh.round_fruit, colour=(248, 216, 74), inside=(252, 232, 120))),
        ("lime", partial(fresh.round_fruit, colour=(132, 184, 70), inside=(196, 222, 120))),
        ("orange", partial(fresh.round_fruit, colour=(244, 148, 42), inside=(250, 172, 70))),
        ("tange", partial(fresh.round_fruit, colour=(244, 132, 42), inside=(250, 160, 62))),
        ("clementine", partial(fresh.round_fruit, colour=(244, 132, 42), inside=(250, 160, 62))),
        ("plum", partial(fresh.apples, colour=(112, 58, 116))),
        ("peach", partial(fresh.apples, colour=(246, 168, 108))),
        ("nectarine", partial(fresh.apples, colour=(238, 132, 82))),
        ("mango", partial(fresh.pear, colour=(246, 176, 76))),
        ("avocado", partial(fresh.pear, colour=(72, 104, 62))), ("kiwi", partial(fresh.roots, colour=(148, 112, 72))),
        ("pear", partial(fresh.pear, colour=(186, 200, 88))), ("bartlett", partial(fresh.pear, colour=(222, 206, 90))),
        ("anjou", partial(fresh.pear, colour=(170, 196, 90))),
        ("watermelon", partial(fresh.melon, rind=(92, 156, 84), flesh=(236, 82, 86))),
        ("cantaloupe", partial(fresh.melon, rind=(222, 196, 144), flesh=(248, 168, 96))),
        ("honeydew", partial(fresh.melon, rind=(206, 220, 160), flesh=(190, 222, 140))),
        ("melon", partial(fresh.melon, rind=(222, 196, 144), flesh=(248, 168, 96))),
        ("raisin", packs.box), ("dried", packs.pillow_bag), ("soup", vessels.tub), ("fruit", vessels.tub),
    ),
    "Vegetables": (
        ("banana", fresh.bananas), ("berries", partial(fresh.berries, colour=(214, 48, 54), seeds=True)),
        ("carrot", fresh.carrots), ("corn", fresh.corn), ("mushroom", fresh.mushrooms), ("broccoli", fresh.broccoli),
        ("cauliflower", partial(fresh.broccoli, colour=(240, 232, 210))),
        ("green bell", partial(fresh.peppers, colour=(96, 160, 70))),
        ("red bell", partial(fresh.peppers, colour=(208, 52, 48))),
        ("yellow bell", partial(fresh.peppers, colour=(246, 196, 60))),
        ("pepper", partial(fresh.peppers, colour=(84, 148, 66))),
        ("red onion", partial(fresh.roots, colour=(156, 72, 108))), ("green onion", fresh.greens),
        ("yellow onion", partial(fresh.roots, colour=(216, 160, 80))),
        ("onion", partial(fresh.roots, colour=(240, 228, 206))),
        ("garlic", partial(fresh.roots, colour=(246, 238, 228))),
        ("radish", partial(fresh.roots, colour=(214, 62, 96))),
        ("sweet", partial(fresh.roots, colour=(206, 116, 72))),
        ("red potato", partial(fresh.roots, colour=(186, 88, 84))),
        ("potato", partial(fresh.roots, colour=(206, 166, 112))),
        ("tomato", partial(fresh.round_fruit, colour=(222, 62, 48), inside=(236, 102, 78))),
        ("cucumber", fresh.cucumbers), ("zucchini", fresh.cucumbers),
        ("squash", partial(fresh.cucumbers, colour=(240, 200, 80))),
        ("salad", packs.frozen_bag), ("coleslaw", packs.frozen_bag), ("cider", vessels.jug), ("dip", vessels.tub),
        ("tofu", packs.box),
        ("cut veg", vessels.tub), ("asparagus", fresh.greens),
    ),
    "Bread & Bakery": (
        ("bun", fresh.buns), ("roll", fresh.buns), ("bagel", fresh.donuts), ("donut", fresh.donuts),
        ("danish", fresh.donuts),
        ("croissant", fresh.buns), ("muffin", fresh.buns), ("snack cake", packs.wide_box), ("cookie", fresh.cookies),
        ("cake", fresh.cake), ("pie", fresh.cake), ("tortilla", packs.ham_pack),
        ("wheat", partial(fresh.loaf, crust=(176, 118, 66))), ("rye", partial(fresh.loaf, crust=(140, 92, 58))),
    ),
    "Milk & Cream": (
        ("gal", vessels.milk_jug), ("sour cream", vessels.tub), ("cottage", vessels.tub), ("dip", vessels.tub),
        ("pudding", vessels.cup), ("evaporated", vessels.can), ("whipped", vessels.drink_can),
        ("tortilla", packs.ham_pack),
        ("dessert", vessels.cup), ("creamer", vessels.squeeze_bottle),
    ),
    "Cheese": (
        ("singles", packs.ham_pack), ("slice", packs.ham_pack), ("shredded", packs.pillow_bag),
        ("cream cheese", packs.wide_box),
        ("grated", vessels.jar), ("string", packs.sausages), ("loaf", packs.wide_box),
    ),
    "Butter & Eggs": (
        ("egg", packs.carton_of_eggs), ("squeeze", vessels.squeeze_bottle), ("tub", vessels.tub),
        ("dough", vessels.can),
        ("bagel", fresh.donuts),
    ),
    "Meat": (
        ("frozen", packs.frozen_bag), ("bacon", packs.ham_pack), ("hot dog", packs.sausages),
        ("sausage", packs.sausages),
        ("sandwich", packs.wide_box), ("chicken", packs.poultry_tray), ("turkey", packs.poultry_tray),
        ("pork", partial(packs.tray, meat=(232, 140, 132))), ("ham", packs.ham_pack),
    ),
    "Deli": (
        ("cheese", fresh.cheese), ("chicken", packs.poultry_tray), ("salad", vessels.tub), ("side dish", vessels.tub),
        ("olive", vessels.tub), ("kit", packs.wide_box), ("dinner", packs.wide_box), ("sauerkraut", vessels.can),
    ),
    "Fish & Seafood": (("can", vessels.low_can), ("shrimp", packs.frozen_bag), ("frozen", packs.frozen_bag),
    ("salmon", packs.fish_tray)),
    "Frozen Meals": (
        ("pizza roll", packs.wide_box), ("pizza", packs.pizza_box), ("vegetable", packs.frozen_bag),
        ("fries", packs.frozen_bag),
        ("brown", packs.frozen_bag), ("tots", packs.frozen_bag), ("ice", packs.frozen_bag),
        ("nugget", packs.frozen_bag),
        ("juice", vessels.can), ("corn dog", packs.wide_box), ("garlic bread", partial(fresh.loaf)),
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
        ("flower", fresh.flowers),
        ("rose", fresh.flowers), ("charcoal", packs.sack),
    ),
}  # fmt: skip

BY_AISLE: dict[str, Shape] = {
    "Fruit": partial(fresh.round_fruit, colour=_RED, inside=_GOLD), "Vegetables": fresh.greens,
    "Bread & Bakery": fresh.loaf,
    "Milk & Cream": vessels.carton, "Cheese": fresh.cheese, "Yogurt": vessels.cup, "Butter & Eggs": packs.wide_box,
    "Meat": packs.tray, "Deli": packs.ham_pack, "Fish & Seafood": fresh.shrimp, "Frozen Meals": packs.wide_box,
    "Ice Cream": vessels.tub, "Chips & Snacks": packs.pillow_bag, "Cookies & Crackers": fresh.cookies,
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
