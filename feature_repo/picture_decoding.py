"""A shop's picture to pixels: the one way, for what is kept, what is encoded and what is searched with.

Whatever a decoder raises is the picture's fault. Little memory is taken: a JPEG is decoded at a fraction of its size;
any other format may have `MAX_PIXELS_WHOLE` pixels at most, and is made small before anything else is done with it.
"""

import io

from PIL import Image, ImageOps, UnidentifiedImageError

from contracts.errors import BadPicture

CONTENT_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}
"""The formats that are read, of the many that the library knows."""

MAX_PIXELS = 50_000_000
MAX_PIXELS_WHOLE = 16_000_000
"""A picture of more pixels is refused before it is decoded: a small file may unfold to gigabytes."""

SIDE = 224


def decoded(picture: bytes, side: int = SIDE) -> tuple[Image.Image, str]:
    """The picture in RGB, upright, on white where it is transparent, and its format.

    Args:
        picture: The file's bytes; of several frames the first one counts.
        side: The shorter side has at least so many pixels, where the file has, and not many times more.

    Raises:
        BadPicture: no PNG, JPEG, WebP or GIF that decodes, or too many pixels.
    """
    try:
        with Image.open(io.BytesIO(picture), formats=tuple(CONTENT_TYPES)) as image:
            form = str(image.format)
            _refuse_large(image, form)
            image.draft("RGB", (2 * side, 2 * side))
            image.load()
            small = _small(image, side)
            return _on_white(_upright(small)), form
    except (BadPicture, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise BadPicture(
            f"found {len(picture)} bytes of another kind; expected a PNG, JPEG, WebP or GIF picture"
        ) from error
    except Exception as error:
        raise BadPicture(
            f"found a picture that does not decode ({error}); expected a whole one: send it again"
        ) from error


def _refuse_large(image: Image.Image, form: str) -> None:
    most = MAX_PIXELS if form == "JPEG" else MAX_PIXELS_WHOLE
    if image.width * image.height > most:
        raise BadPicture(
            f"found {image.width} x {image.height} pixels; expected at most {most} in all in a {form}: scale it down"
        )


def _small(image: Image.Image, side: int) -> Image.Image:
    transparent = "A" in image.getbands() or "transparency" in image.info
    layers = image.convert("RGBA" if transparent else "RGB")
    times = min(layers.size) // (2 * side)
    made = layers.reduce(times) if times > 1 else layers
    made.info = dict(image.info)
    return made


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - what the camera noted is damaged; the picture is whole
        return image


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
