"""Pictures as shops send them and as a fuzzer damages them: read, or refused as a bad picture, and nothing else."""

import io
import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from contracts.errors import BadPicture
from feature_repo.picture_decoding import CONTENT_TYPES, MAX_PIXELS_WHOLE, SIDE, decoded
from feature_repo.pictures import verify

ORIENTATION = 0x0112


def written(form: str, size: tuple[int, int] = (40, 30), mode: str = "RGB", turned: bool = True) -> bytes:
    image = Image.frombytes("RGB", size, random.Random(1).randbytes(3 * size[0] * size[1])).convert(mode)
    exif = Image.Exif()
    if turned:
        exif[ORIENTATION] = 6
    file = io.BytesIO()
    image.save(file, form, **({} if form == "GIF" else {"exif": exif}))
    return file.getvalue()


WHOLE = {form: written(form) for form in CONTENT_TYPES}


@pytest.mark.parametrize("form", CONTENT_TYPES)
def test_each_format_is_read_upright(form: str) -> None:
    image, found = decoded(WHOLE[form])
    assert (found, image.mode) == (form, "RGB")
    assert image.size == ((40, 30) if form == "GIF" else (30, 40))


def test_a_damaged_note_of_the_camera_costs_the_turn_and_not_the_picture() -> None:
    at = WHOLE["PNG"].index(b"eXIf")
    length = int.from_bytes(WHOLE["PNG"][at - 4 : at], "big")
    damaged = bytearray(WHOLE["PNG"])
    damaged[at + 4 : at + 4 + length] = bytes(reversed(damaged[at + 4 : at + 4 + length]))
    damaged[at + 4 + length : at + 8 + length] = zlib.crc32(bytes(damaged[at : at + 4 + length])).to_bytes(4, "big")
    assert decoded(bytes(damaged))[0].size in {(40, 30), (30, 40)}


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1"])
def test_what_is_transparent_is_white_and_any_mode_is_read(mode: str) -> None:
    assert decoded(written("PNG", mode=mode))[0].mode == "RGB"
    file = io.BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(file, "PNG")
    assert decoded(file.getvalue())[0].getpixel((0, 0)) == (255, 255, 255)


def test_a_large_picture_is_made_small_at_once() -> None:
    for form in ("JPEG", "PNG"):
        image, _ = decoded(written(form, (2400, 1600), turned=False))
        assert SIDE <= min(image.size) < 6 * SIDE


def test_too_many_pixels_are_refused_by_the_header_alone() -> None:
    file = io.BytesIO()
    Image.new("1", (7000, 7000)).save(file, "PNG")
    with pytest.raises(BadPicture, match=f"found 7000 x 7000 pixels; expected at most {MAX_PIXELS_WHOLE}"):
        decoded(file.getvalue()[:200])


@pytest.mark.parametrize("form", ["BMP", "TIFF", "PPM", "ICO"])
def test_a_format_that_no_item_may_have_is_refused_for_a_search_too(form: str) -> None:
    with pytest.raises(BadPicture, match="expected a PNG, JPEG, WebP or GIF"):
        decoded(written(form, (32, 32), turned=False) if form != "TIFF" else written(form, (32, 32)))


@settings(max_examples=300, deadline=None)
@given(
    form=st.sampled_from(sorted(CONTENT_TYPES)),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12),
    cut=st.floats(0, 1),
)
def test_a_damaged_picture_is_read_or_refused_as_one_and_the_keeper_agrees(
    form: str, changes: list[tuple[float, int]], cut: float
) -> None:
    damaged = bytearray(WHOLE[form])
    for place, value in changes:
        damaged[int(place * len(damaged))] = value
    picture = bytes(damaged[: max(1, int(len(damaged) * max(cut, 0.5)))])
    try:
        image, _ = decoded(picture)
    except BadPicture:
        with pytest.raises(BadPicture, match="found"):
            verify(picture, 10**6)
    else:
        assert image.mode == "RGB"
        verify(picture, 10**6)
