"""The page in a real Chromium, against a double of the gateway that holds each request to the contracts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.catalogue import Item
from contracts.ids import ItemId
from contracts.requests import Degradation, Problem
from tests.page.browser import Browser, chromium_path
from tests.page.shop_double import ShopDouble
from tests.page.shop_server import serve

pytestmark = pytest.mark.skipif(chromium_path() is None, reason="chromium is not installed")

PAGE = Path(__file__).parents[2] / "services" / "gateway" / "page"
CATEGORIES = ("Bread", "Cheese", "Coffee")
SHOWN = "document.querySelectorAll('.grid .card[data-item-id]').length > 0"
PICTURE = """(async () => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 32;
  canvas.getContext("2d").fillRect(4, 4, 20, 20);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve));
  const carried = new DataTransfer();
  carried.items.add(new File([blob], "mug.png", { type: "image/png" }));
  const input = document.querySelector("%s");
  input.files = carried.files;
  input.dispatchEvent(new Event("change"));
})()"""


def item(number: int, title: str | None = None) -> Item:
    category = CATEGORIES[number % len(CATEGORIES)]
    return Item(
        item_id=ItemId(f"item-{number}"), title=title or f"{category} number {number}", category=category,
        brand="House", price_cents=100 + number,
    )  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    executable = chromium_path()
    assert executable is not None
    with Browser(executable, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def shop() -> ShopDouble:
    return ShopDouble(page=PAGE, items={each.item_id: each for each in map(item, range(30))})


@pytest.fixture
def address(shop: ShopDouble, browser: Browser) -> Iterator[str]:
    server = serve(shop)
    browser.console.clear()
    yield f"http://127.0.0.1:{server.server_port}/"
    browser.open("about:blank")
    server.shutdown()
    server.server_close()
    assert shop.refused == [], "the page sent what the contracts refuse"


def titles(browser: Browser) -> list[str]:
    found: list[str] = browser.js(
        "[...document.querySelectorAll('.grid .card-title')].map((title) => title.textContent)"
    )
    return found


def test_one_click_changes_the_list_and_both_clocks_stop(browser: Browser, shop: ShopDouble, address: str) -> None:
    browser.open(address)
    browser.until(SHOWN)
    assert titles(browser)[:3] == ["Bread number 0", "Cheese number 1", "Coffee number 2"]
    browser.click(".grid .card:nth-child(2) .card-title")
    browser.until("document.querySelector('#dock .verdict:not(.running)')")
    assert browser.text("#dock .verdict").startswith("Your click changed this list in 0.")
    assert [title.split()[0] for title in titles(browser)[:10]] == ["Cheese"] * 10
    browser.until("document.querySelector('#dock .verdict.learned:not(.running)')")
    assert "The model learned from it in 1.5" in browser.text("#dock").replace("\u00a0", " ")
    browser.until("document.querySelectorAll('#dock .strip .reached').length === 9")
    [posted] = shop.posted
    assert (posted.event.kind, posted.event.item_id) == ("click", "item-1")
    assert posted.event.request_id is not None
    assert browser.console == []


def test_the_sheet_tells_why_and_what_is_similar_and_escape_closes_it(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.until(SHOWN)
    browser.click(".grid .card:nth-child(1) .card-title")
    browser.until("document.querySelectorAll('.mini:not(.bone)').length === 6")
    browser.click(".reasons summary")
    assert "Many shoppers look at it now" in browser.text(".reasons")
    browser.js("dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' }))")
    browser.until("!document.querySelector('#sheet').open")


def test_a_purchase_is_posted_after_the_click_before_it_with_its_price_and_leaves_the_list(
    browser: Browser, shop: ShopDouble, address: str
) -> None:
    shop.click_waits_s = 0.5
    browser.open(address)
    browser.until(SHOWN)
    browser.click(".grid .card:nth-child(1) .card-title")
    browser.click(".sheet .second")
    browser.until("![...document.querySelectorAll('.grid .card')].some((card) => card.dataset.itemId === 'item-0')")
    assert [(each.event.kind, each.event.item_id) for each in shop.posted] == [
        ("click", "item-0"),
        ("purchase", "item-0"),
    ]
    assert shop.posted[1].event.price_cents == 100


def test_the_basket_is_counted_kept_and_bought(browser: Browser, shop: ShopDouble, address: str) -> None:
    browser.open(address)
    browser.until(SHOWN)
    browser.click(".grid .card:nth-child(1) .card-add")
    browser.until("document.querySelector('#basket-count').textContent === '1'")
    browser.open(address)
    browser.until(SHOWN)
    assert browser.text("#basket-count") == "1"
    browser.click("#basket-button")
    browser.click("#box .main")
    browser.until("document.querySelector('#basket-count').hidden")
    browser.until("document.querySelector('#dock .verdict:not(.running)')")
    assert [each.event.kind for each in shop.posted] == ["add_to_cart", "purchase"]


def test_words_and_a_picture_find_products(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.until(SHOWN)
    browser.js("document.querySelector('#search-text').value = 'cheese number 4'")
    browser.click("#search .go")
    browser.until("document.querySelector('#list-title').textContent.includes('cheese') && " + SHOWN)
    assert titles(browser) == ["Cheese number 4"]
    browser.click("#list-sub .link")
    browser.until("document.querySelector('#list-title').textContent === 'Recommended for you' && " + SHOWN)
    browser.js(PICTURE % "#search-picture")
    browser.until("document.querySelector('#list-title').textContent === 'Like your picture' && " + SHOWN)
    assert titles(browser)[0] == "Coffee number 29"
    assert not browser.js("document.querySelector('#picked').hidden")


def test_a_degraded_answer_says_what_is_away_and_recovers_by_itself(
    browser: Browser, shop: ShopDouble, address: str
) -> None:
    shop.degraded = [Degradation.VECTORS]
    browser.open(address)
    browser.until(SHOWN)
    assert "The vector store is away" in browser.text("#banner")
    shop.degraded = []
    browser.until("document.querySelector('#banner').hidden", within_s=12)


def test_an_empty_catalogue_says_how_to_load_one(browser: Browser, shop: ShopDouble, address: str) -> None:
    shop.items.clear()
    browser.open(address)
    browser.until("!document.querySelector('#state').hidden")
    assert "millstream load FILE" in browser.text("#state")


def test_an_error_shows_its_title_and_detail_and_can_be_tried_again(
    browser: Browser, shop: ShopDouble, address: str
) -> None:
    shop.broken = Problem(title="Log away", status=503, detail="found no broker; run `millstream up`", reason="log")
    browser.open(address)
    browser.until("!document.querySelector('#state').hidden")
    assert "Log away" in browser.text("#state")
    assert "found no broker; run millstream up" in browser.text("#state")
    shop.broken = None
    browser.click("#state .main")
    browser.until(SHOWN)


def test_markup_in_a_title_is_shown_as_text(browser: Browser, shop: ShopDouble, address: str) -> None:
    title = "<img src=x onerror=\"document.title='broken'\"> & <b>bread</b>"
    shop.items = {ItemId("item-0"): item(0, title)}
    browser.open(address)
    browser.until(SHOWN)
    browser.click(".grid .card-title")
    browser.until("document.querySelector('#dock .verdict:not(.running)')")
    assert browser.js("document.querySelector('#sheet-title').textContent") == title
    assert browser.js("document.title") == "Millstream"


def test_an_added_product_is_found_by_its_photo_and_can_be_removed(
    browser: Browser, shop: ShopDouble, address: str
) -> None:
    browser.open(address)
    browser.until(SHOWN)
    browser.click("#add-product")
    browser.js("Object.assign(document.querySelector('#box [name=title]'), { value: 'Blue mug' })")
    browser.js("Object.assign(document.querySelector('#box [name=price]'), { value: '12.50' })")
    browser.js(PICTURE % "#box [name=photo]")
    browser.until("document.querySelector('.photo-preview img')")
    browser.click("#box .main")
    browser.until("document.querySelector('.found')")
    assert "Findable by its photo in 0." in browser.text("#box")
    added = list(shop.items.values())[-1]
    assert (added.title, added.price_cents) == ("Blue mug", 1250)
    browser.click(".found .quiet")
    browser.until("document.querySelector('.found .quiet').textContent === 'Removed'")
    assert len(shop.items) == 30


def test_another_shopper_has_another_history(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.until(SHOWN)
    browser.click(".grid .card:nth-child(3) .card-title")
    browser.until("document.querySelectorAll('#trail .thumbs li').length === 1")
    browser.click("#afresh")
    browser.until("document.querySelector('#trail').textContent.startsWith('Nothing yet')")
    assert browser.js("document.querySelector('#dock').hidden")
    browser.until("[...document.querySelector('#shopper').options].some((option) => option.value === 'household-489')")
    browser.js("document.querySelector('#shopper').value = 'household-489'")
    browser.js("document.querySelector('#shopper').dispatchEvent(new Event('change'))")
    assert browser.js("localStorage.getItem('millstream.user')") == '"household-489"'
    browser.open(f"{address}?user=household-7")
    browser.until(SHOWN)
    assert browser.js("document.querySelector('#shopper').selectedOptions[0].textContent") == "shopper household-7"


@pytest.mark.parametrize("width", [360, 390, 768, 1024, 1440, 1600])
def test_the_page_fits_its_window(browser: Browser, address: str, width: int) -> None:
    browser.open(address, width=width)
    browser.until(SHOWN)
    browser.click(".grid .card:nth-child(1) .card-title")
    browser.until("document.querySelector('#dock .verdict:not(.running)')")
    assert browser.js("document.documentElement.scrollWidth") <= width
