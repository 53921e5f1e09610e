"""Photos whose annotations count pixels: what does not fit rejects each of their words, and they are decoded
once.
"""

import pytest
from PIL import Image

from ingest.photos import Cut, Photos, scene
from ingest.sources import Reject
from shards.sample import Meta, Word

QUAD = ((2, 1), (9, 1), (9, 6), (2, 6))


class Counted:
    """A tree of one photo that counts how often it is read."""

    def __init__(self, data):
        self.data, self.reads = data, 0

    def read(self, path):
        self.reads += 1
        return self.data


def cut(number=1, size=None, photo="a.jpg"):
    return Cut(photo, size, QUAD, f"word {number}", f"list:{number}", Meta(group="g"))


def test_words_of_a_photo_read_it_once(encoded):
    tree = Counted(encoded("JPEG"))
    photos = Photos(tree)
    found = [photos.word(cut(number)) for number in (1, 2, 3)]
    assert [sample.record.words[0].text for sample in found] == ["word 1", "word 2", "word 3"]
    assert {sample.record.size for sample in found} == {(8, 6)}
    assert tree.reads == 1
    photos.word(cut(4, photo="b.jpg"))
    photos.word(cut(1))
    assert tree.reads == 3  # only the last one is kept


def test_a_photo_of_another_size_than_was_annotated_rejects_its_words(encoded):
    photos = Photos(Counted(encoded("JPEG", size=(20, 10))))
    assert photos.image("a.jpg", (20, 10)).size == (20, 10)
    with pytest.raises(
        Reject, match=r"^list:1: size_differs a\.jpg \(20, 10\) pixels, annotated as \(10, 20\)"
    ):
        photos.word(cut(size=(10, 20)))


@pytest.mark.parametrize(("format", "mode"), [("BMP", "RGB"), ("TIFF", "L"), ("GIF", "P"), ("JPEG", "CMYK")])
def test_a_photo_in_another_format_is_stored_as_png_with_its_corners(encoded, format, mode):
    photos = Photos(Counted(encoded(format, mode)))
    image = photos.image("a.jpg")
    sample = scene(image, "a.jpg", [Word("x", ((1, 1), (9, 1), (9, 5), (1, 5)))], Meta())
    assert (sample.suffix, sample.record.transcoded, sample.record.size) == ("png", True, (20, 10))
    assert photos.word(cut()).record.size == (8, 6)


def test_a_photo_that_exif_has_turned_rejects_its_words(encoded):
    for turn in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        with pytest.raises(Reject, match=r"^list:1: turned a\.jpg by EXIF"):
            Photos(Counted(encoded("JPEG", exif=exif))).word(cut())
