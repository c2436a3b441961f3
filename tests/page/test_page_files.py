"""What the page's files promise: offline, nothing parsed as HTML, only known paths of the API, short modules."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "services" / "gateway" / "page"
FILES = sorted(path for path in PAGE.iterdir() if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
SVG_NAMESPACE = "http://www.w3.org/2000/svg"

API = {
    "/v1/recommendations",
    "/v1/search",
    "/v1/events",
    "/v1/items",
    "/v1/items/*",
    "/v1/freshness",
    "/v1/traces/*",
    "/v1/users/*",
    "/v1/pictures/*",
}

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
each_script = pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)


def test_the_page_has_its_html_its_styles_and_its_scripts() -> None:
    names = {path.name for path in FILES}
    assert {"index.html", "style.css", "panels.css", "main.js", "icon.svg"} <= names


@each_file
def test_nothing_is_loaded_from_another_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace(SVG_NAMESPACE, "")
    assert re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}", text) == []


@each_file
def test_no_file_is_over_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@each_script
def test_no_text_is_parsed_as_html(path: Path) -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function"
    assert re.findall(forbidden, path.read_text(encoding="utf-8")) == []


def test_every_path_of_the_api_is_known_and_only_one_module_names_them() -> None:
    used = {
        path.name: {
            re.sub(r"\$\{[^}]*\}", "*", found).removesuffix("?*")
            for found in re.findall(r"[\"`](/v1/[^\"`]*)[\"`]", path.read_text(encoding="utf-8"))
        }
        for path in SCRIPTS
    }
    assert used.pop("api.js") == API
    assert {name: paths for name, paths in used.items() if paths} == {}


@each_script
def test_every_import_names_a_module_that_is_there_and_a_name_that_it_exports(path: Path) -> None:
    for names, module in re.findall(r"import \{([^}]*)\} from \"\./([^\"]+)\"", path.read_text(encoding="utf-8")):
        text = (PAGE / module).read_text(encoding="utf-8")
        exported = set(re.findall(r"export (?:async )?(?:function|const|class) (\w+)", text))
        assert {name.strip() for name in names.split(",")} - exported == set()


def test_every_element_that_scripts_look_up_is_in_the_html_or_made_by_a_script() -> None:
    texts = [path.read_text(encoding="utf-8") for path in FILES]
    wanted = {found for text in texts for found in re.findall(r"byId\(\"([\w-]+)\"\)", text)}
    there = {found for text in texts for found in re.findall(r"\bid(?:=|: )\"([\w-]+)\"", text)}
    assert wanted - there == set()


def test_links_of_the_html_are_relative_and_name_files_that_are_there() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    links = re.findall(r"<(?:link|script)[^>]*(?:href|src)=\"([^\"]+)\"", html)
    assert links
    assert [link for link in links if not (PAGE / link).is_file()] == []


def test_every_button_without_words_and_every_input_has_a_label() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    inputs = re.findall(r"<(?:input|select)\b[^>]*>", html)
    bare_buttons = [
        tag for tag, words in re.findall(r"(<button\b[^>]*>)([^<]*)", html) if not re.search(r"\w{2}", words)
    ]
    assert [tag for tag in inputs + bare_buttons if "aria-label" not in tag] == []
