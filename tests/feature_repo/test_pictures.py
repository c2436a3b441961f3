"""The picture stores."""

from pathlib import Path

import pytest

from contracts.errors import BadPicture
from contracts.ports import PictureStore
from feature_repo import pictures
from feature_repo.memory import MemoryPictureStore
from feature_repo.pictures import FilePictureStore, content_type
from tests.suites.picture_store import PictureStoreSuite, picture


class TestMemory(PictureStoreSuite):
    @pytest.fixture
    def store(self) -> PictureStore:
        return MemoryPictureStore(max_bytes=100_000)


class TestFiles(PictureStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> PictureStore:
        return FilePictureStore(tmp_path / "pictures", max_bytes=100_000)


def test_pictures_survive_a_restart(tmp_path: Path) -> None:
    key = FilePictureStore(tmp_path, 100_000).put(picture())
    assert FilePictureStore(tmp_path, 100_000).get(key) == picture()


def test_nothing_partial_is_left_behind(tmp_path: Path) -> None:
    store = FilePictureStore(tmp_path, 100_000)
    keys = {store.put(picture()), store.put(picture("JPEG"))}
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == keys


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 32 * 24 - 1)
    with pytest.raises(BadPicture, match="found 32 x 24 pixels; expected at most 767"):
        FilePictureStore(tmp_path, 100_000).put(picture())


@pytest.mark.parametrize(
    ("form", "expected"),
    [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp"), ("GIF", "image/gif")],
)
def test_the_content_type_comes_from_the_bytes(form: str, expected: str) -> None:
    assert content_type(picture(form)) == expected


def test_bytes_of_no_known_picture_are_an_octet_stream() -> None:
    assert content_type(b"RIFF....WAVE") == "application/octet-stream"
