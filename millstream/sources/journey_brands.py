"""Names that the log does not have: brands for its numbered manufacturers, varieties for products that look alike.

The Complete Journey knows a manufacturer's number and whether a brand is the shop's own or national; nothing of a
flavour. The demo invents both, always the same for the same product, and says so.
"""

import hashlib

OWN_BRAND = "Hearth & Mill"
FARM_BRAND = "Fresh Fields"
OWN_MANUFACTURER, LOOSE_MANUFACTURER = 69, 2

_FIRST = (
    "Amber", "Birch", "Blue", "Bright", "Cedar", "Clover", "Copper", "Corner", "Daisy", "Eagle", "Ember", "Fox",
    "Golden",
    "Green", "Harbor", "Hazel", "High", "Honey", "Iron", "Juniper", "Lake", "Lark", "Linden", "Little", "Maple",
    "Meadow",
    "North", "Oak", "Old", "Orchard", "Pine", "Prairie", "Red", "River", "Robin", "Rose", "Silver", "Stone", "Summer",
    "Sunny", "Thistle", "Valley", "West", "White", "Wild", "Willow",
)  # fmt: skip
_SECOND = (
    "bell", "berry", "brook", "crest", "dale", "farm", "field", "ford", "gate", "grove", "haven", "hill", "house",
    "kitchen",
    "land", "leaf", "mark", "mill", "moor", "ridge", "side", "spring", "stead", "ton", "vale", "view", "way", "wood",
)  # fmt: skip

VARIETIES: dict[str, tuple[str, ...]] = {
    "Yogurt": (
        "Strawberry", "Vanilla", "Peach", "Blueberry", "Raspberry", "Plain", "Cherry", "Lemon", "Banana", "Key Lime",
        "Mixed Berry", "Pineapple", "Coconut", "Blackberry", "Apricot", "Honey", "Mango", "Orange Cream",
        "Apple Cinnamon",
        "Strawberry Banana", "Cherry Vanilla", "Boysenberry", "Lemon Cream", "Pina Colada", "Black Cherry", "Caramel",
        "Coffee", "Mocha", "Raspberry Lemon", "Peach Melba", "Fig", "Pear", "Chocolate", "Plum", "Maple", "Cranberry",
    ),
    "Soft Drinks": (
        "Cola", "Diet Cola", "Lemon Lime", "Root Beer", "Orange", "Ginger Ale", "Grape", "Cherry Cola", "Cream Soda",
        "Diet Lemon Lime", "Black Cherry", "Strawberry", "Vanilla Cola", "Grapefruit", "Berry", "Tropical",
        "Fruit Punch",
        "Lime", "Raspberry", "Peach", "Blue Ice", "Pineapple", "Mango", "Lemonade",
    ),
    "Chips & Snacks": (
        "Classic", "Sour Cream & Onion", "Barbecue", "Cheddar", "Salt & Vinegar", "Ranch", "Jalapeno", "Sea Salt",
        "Rippled",
        "Nacho Cheese", "Lime", "Baked", "Hot", "Honey Mustard", "White Corn", "Blue Corn", "Smoky Bacon",
        "Dill Pickle",
    ),
    "Ice Cream": (
        "Vanilla", "Chocolate", "Strawberry", "Cookies & Cream", "Mint Chip", "Butter Pecan", "Neapolitan", "Cherry",
        "Caramel Swirl", "Coffee", "Rocky Road", "Peach", "Pistachio", "Lemon",
    ),
    "Candy": (
        "Milk Chocolate", "Peanut", "Caramel", "Almond", "Dark Chocolate", "Coconut", "Crispy Rice", "Peppermint",
        "Nougat",
        "Spearmint", "Cinnamon", "Hazelnut", "Peanut Butter", "Fruit", "Wintergreen", "Mocha", "Toffee", "Raspberry",
        "Orange", "Sour Apple",
    ),
    "Cereal & Breakfast": (
        "Honey Oat", "Corn Flakes", "Cinnamon", "Frosted", "Fruit Rings", "Chocolate", "Bran", "Rice Crisps", "Almond",
        "Apple", "Strawberry", "Marshmallow", "Raisin", "Blueberry", "Peanut Butter", "Maple", "Brown Sugar",
        "Wheat Squares",
        "Golden Puffs", "Berry", "Vanilla", "Banana",
    ),
    "Soup": (
        "Chicken Noodle", "Tomato", "Cream of Mushroom", "Vegetable", "Beef", "Cream of Chicken", "Minestrone",
        "Clam Chowder", "Golden Mushroom", "Low Sodium", "Garlic", "Broccoli Cheese", "Spicy", "French Onion",
        "Creamy Celery",
    ),
    "Ramen": ("Chicken", "Beef", "Shrimp", "Vegetable", "Pork", "Chili Lime", "Soy"),
    "Juice": (
        "Original", "With Pulp", "No Pulp", "With Calcium", "Apple", "Fruit Punch", "Grape", "Cherry", "Tropical",
        "Berry",
        "Lemonade", "Kiwi Strawberry", "Mango", "Pineapple", "White Grape", "Raspberry",
    ),
    "Pizza": (
        "Pepperoni", "Cheese", "Sausage", "Supreme", "Four Cheese", "Bacon", "Veggie", "Combination", "Chicken",
        "Margherita",
    ),
    "Dinner": (
        "Salisbury Steak", "Turkey", "Meatloaf", "Lasagna", "Chicken", "Beef", "Fettuccine", "Swedish Meatballs",
        "Mac & Cheese",
        "Fried Chicken", "Spaghetti", "Pot Roast", "Fish Fillet", "Enchilada", "Roast Beef", "Rigatoni", "Teriyaki",
    ),
    "Frozen Vegetables": ("Broccoli", "Green Peas", "Corn", "Mixed", "Green Bean", "Carrot", "California Blend",
    "Spinach", "Stir Fry"),
    "Waffles": ("Buttermilk", "Blueberry", "Homestyle", "Chocolate Chip", "Cinnamon"),
    "Fruit Cups": ("Peach", "Mixed Fruit", "Mandarin", "Pineapple", "Cherry", "Pear", "Tropical", "Apple"),
    "Cheese": (
        "Cheddar", "Mozzarella", "Colby Jack", "Mexican Blend", "Swiss", "Provolone", "Sharp Cheddar", "Pepper Jack",
        "Mild Cheddar", "Italian Blend", "Parmesan", "Monterey Jack", "American", "Muenster", "Light", "Nacho", "Gouda",
    ),
    "Cookies & Crackers": (
        "Original", "Chocolate", "Vanilla", "Oatmeal", "Peanut Butter", "Wheat", "Reduced Fat", "Lemon", "Ginger",
        "White Cheddar",
    ),
    "Sauces & Spreads": ("Original", "Mild", "Medium", "Hot", "Creamy", "Crunchy", "Ranch", "Italian", "Honey", "Smoky",
    "Grape", "Light"),
}  # fmt: skip
PLAIN_VARIETIES = (
    "",
    "Select",
    "Classic",
    "Family",
    "Original",
    "Special",
    "Homestyle",
    "Choice",
    "Traditional",
    "Extra",
)


def brand_of(manufacturer: int, own: bool) -> str:
    """The brand of a manufacturer: the shop's own, loose produce, or an invented name that is always the same."""
    if own or manufacturer == OWN_MANUFACTURER:
        return OWN_BRAND
    if manufacturer == LOOSE_MANUFACTURER:
        return FARM_BRAND
    digest = hashlib.sha256(f"manufacturer {manufacturer}".encode()).digest()
    return _FIRST[digest[0] % len(_FIRST)] + _SECOND[digest[1] % len(_SECOND)]


def variety_of(aisle: str, name: str, place: int) -> str:
    """The variety of the `place`-th product (from 0) of those that have brand, name and size in common."""
    by_name = next((kind for kind in VARIETIES if kind in name), None)
    known = VARIETIES.get(by_name or aisle, PLAIN_VARIETIES)
    if place < len(known):
        return known[place]
    return f"No. {place + 1}"
