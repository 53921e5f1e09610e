"""The JSON of a request: several images in base64, each perhaps with a name.

{"images": [{"data": "iVBORw0KGgo...", "name": "shop.png"}]}
"""

import base64
import binascii
import json

from starlette.exceptions import HTTPException

LONGEST = 256  # characters of a name


def parsed(body: bytes, most: int) -> list[tuple[str, bytes]]:
    """(name, image) of at most so many; a name that is not given is the place in the list."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, f"no JSON: {error}") from None
    images = told.get("images") if isinstance(told, dict) else None
    if not isinstance(images, list) or not images:
        raise HTTPException(422, 'JSON must be {"images": [{"data": BASE64, "name": TEXT}, ...]}')
    if len(images) > most:
        raise HTTPException(413, f"{len(images)} images, at most images={most} are read")
    return [_image(place, one) for place, one in enumerate(images)]


def _image(place: int, one: object) -> tuple[str, bytes]:
    data = one.get("data") if isinstance(one, dict) else None
    if not isinstance(one, dict) or not isinstance(data, str):
        raise HTTPException(422, f"images[{place}]: no object with the base64 text data")
    try:
        return named(one.get("name", str(place))), base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise HTTPException(422, f"images[{place}].data: {error}") from None


def named(name: object) -> str:
    """A name that rows can bear."""
    if not isinstance(name, str) or len(name) > LONGEST or not (name.isprintable() or not name):
        raise HTTPException(422, f"name: must be a printable text of at most {LONGEST} characters")
    return name
