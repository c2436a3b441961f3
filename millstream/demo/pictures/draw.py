"""From an item to the bytes of its picture, kept in a cache so that each is drawn once in a checkout's life."""

import hashlib
import io
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from contracts.catalogue import Item
from contracts.ids import ItemId
from millstream.demo.pictures.canvas import Canvas, Words
from millstream.demo.pictures.choice import shape_of
from millstream.demo.pictures.palette import palette_of

STYLE = "3"
"""Part of the cache's key: raise it with every change of the drawing."""
WEBP_QUALITY = 82
PROCESSES = 2


def draw(item: Item) -> bytes:
    """The picture of an item: WebP, 320 x 320. The same item gives the same bytes."""
    title, _, _ = item.title.partition(", ")
    name = item.attributes.get("name", title)
    variety = title.removesuffix(name).strip()
    size = item.attributes.get("size", "")
    canvas = Canvas(palette_of(item.category, item.brand, title), Words(item.brand, title, variety or name, size))
    shape_of(item.category, item.title)(canvas)
    encoded = io.BytesIO()
    canvas.finish().save(encoded, format="WEBP", quality=WEBP_QUALITY, method=3)
    return encoded.getvalue()


def drawn(items: Iterable[Item], cache: Path) -> dict[ItemId, bytes]:
    """The pictures of all items: from the cache, or drawn now by a few processes and kept."""
    cache.mkdir(parents=True, exist_ok=True)
    pictures: dict[ItemId, bytes] = {}
    missing: list[Item] = []
    for item in items:
        path = cache / _name(item)
        if path.exists():
            pictures[item.item_id] = path.read_bytes()
        else:
            missing.append(item)
    if missing:
        with ProcessPoolExecutor(max_workers=PROCESSES) as pool:
            for item, picture in zip(missing, pool.map(draw, missing, chunksize=50), strict=True):
                path = cache / _name(item)
                draft = path.with_suffix(f".{os.getpid()}.tmp")
                draft.write_bytes(picture)
                draft.replace(path)
                pictures[item.item_id] = picture
    return pictures


def _name(item: Item) -> str:
    said = "\n".join((STYLE, item.category, item.brand, item.title, item.attributes.get("size", "")))
    return hashlib.sha256(said.encode()).hexdigest()[:32] + ".webp"
