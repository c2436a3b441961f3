"""The picture stores."""

import io
import random
from pathlib import Path

import pytest
from PIL import Image

from contracts.errors import BadPicture, PicturesUnavailable
from contracts.ports import PictureStore
from feature_repo import picture_decoding
from feature_repo.memory import MemoryPictureStore
from feature_repo.pictures import FilePictureStore, content_type
from tests.builders.files import fill, small_disk
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


def test_a_full_disk_is_no_picture_s_fault_and_keeps_nothing_half_written(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        store = FilePictureStore(disk / "pictures", 100_000)
        before = store.put(picture())
        fill(disk / "ballast")
        with pytest.raises(PicturesUnavailable, match="No space left on device"):
            store.put(noise())
        assert store.get(before) == picture()
        assert list(disk.rglob("*.partial")) == []
        (disk / "ballast").unlink()
        assert store.get(store.put(noise())) == noise()


def noise() -> bytes:
    """A picture of some 30 kB."""
    file = io.BytesIO()
    Image.frombytes("RGB", (100, 100), random.Random(1).randbytes(30_000)).save(file, "PNG")
    return file.getvalue()


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_decoding, "MAX_PIXELS_WHOLE", 32 * 24 - 1)
    header_alone = picture()[:60]  # decoding it would say that it is cut off
    with pytest.raises(BadPicture, match="found 32 x 24 pixels; expected at most 767"):
        FilePictureStore(tmp_path, 100_000).put(header_alone)
    monkeypatch.setattr(picture_decoding, "MAX_PIXELS_WHOLE", 32 * 24)
    with pytest.raises(BadPicture, match="does not decode"):
        FilePictureStore(tmp_path, 100_000).put(header_alone)


@pytest.mark.parametrize(
    ("form", "expected"),
    [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp"), ("GIF", "image/gif")],
)
def test_the_content_type_comes_from_the_bytes(form: str, expected: str) -> None:
    assert content_type(picture(form)) == expected


def test_bytes_of_no_known_picture_are_an_octet_stream() -> None:
    assert content_type(b"RIFF....WAVE") == "application/octet-stream"
