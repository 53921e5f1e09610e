"""Published images on their way in: what the floor refuses becomes a Reject of the row."""

from ingest.sources import Reject
from shards import pictures
from shards.pictures import Published, Refused


def published(data: bytes, origin: str) -> Published:
    """See `shards.pictures.published`; Reject: empty, too_large, animated, truncated or undecodable."""
    try:
        return pictures.published(data)
    except Refused as refused:
        raise Reject(refused.reason, origin, refused.detail) from None
