"""The page: loads nothing from elsewhere; in a real browser it reads a picture, at any width, by keyboard."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from shards.read import Shards
from train import predict, servepage
from train.reader import Reader

pytest.importorskip("uvicorn", reason="needs the extra `serve`")
pytest.importorskip("fastapi", reason="needs the extra `serve`")
from tests.train import chromium
from tests.train.served import served, small_detector

browser = pytest.mark.skipif(not chromium.BINARY, reason="no Chromium on this machine")
TAB = 9


@pytest.fixture(scope="module")
def picture(words, tmp_path_factory):
    """A word as a file."""
    path = tmp_path_factory.mktemp("picture") / "word.jpg"
    path.write_bytes(Shards([words], "test").image(0))
    return path


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """A model folder that finds something in every picture."""
    return small_detector(tmp_path_factory.mktemp("detector") / "m")


def test_the_page_names_no_other_address_and_its_policy_forbids_them():
    page = servepage.trying(["a<b", "c"])
    assert "a&lt;b, c read here" in page
    assert not re.findall(r"(?:src|href)\s*=\s*[\"'](?!/)", page)
    assert set(re.findall(r"https?://[^\s\"'<]+", page)) == {"http://www.w3.org/2000/svg"}
    policy = servepage.policy(page)
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[\w+/]{43}=';", policy)
    assert "unsafe" not in policy
    assert policy != servepage.policy(page.replace('"use strict"', '"use strict" '))


@browser
@pytest.mark.slow
def test_a_browser_shows_the_word_that_the_model_reads_and_asks_nobody_else(picture, tmp_path):
    (wanted,) = Reader(predict.PRETRAINED).read([picture.read_bytes()])
    with served() as server, chromium.tab(tmp_path) as tab:
        tab.resize(1000, 800)
        tab.open(server.address)
        tab.choose("#file", picture)
        tab.until("document.querySelectorAll('#answers li').length === 1")
        assert tab.run("document.querySelector('#answers bdi').textContent") == wanted.text
        shades = (
            "[...document.querySelectorAll('bdi span')].map((one) => one.style.getPropertyValue('--sure'))"
        )
        sure = tab.run(shades)
        assert [float(one) for one in sure] == pytest.approx(wanted.characters)
        assert tab.run("document.querySelector('#answers textarea').value") == wanted.text
        assert tab.run("document.querySelector('#said').textContent") == "words: 1 word."
        assert tab.until("document.querySelector('#answers img').naturalWidth") > 0
        sent = [event["params"] for event in tab.events if event["method"] == "Network.requestWillBeSent"]
        asked = [one["request"]["url"] for one in sent]
        assert [url for url in asked if not url.startswith((server.address, f"blob:{server.address}"))] == []
        gone = "fetch('http://192.0.2.1/').then(() => 'sent', (error) => 'refused')"
        assert tab.run(gone) == "refused"
        assert any("Content Security Policy" in str(event) for event in tab.events)
        tab.choose("#file", tmp_path / "profile" / "Local State")
        tab.until("document.querySelector('#said').classList.contains('wrong')")
        assert "no known image format" in tab.run("document.querySelector('#said').textContent")
        assert tab.run("document.querySelectorAll('#answers section').length") == 0


@browser
@pytest.mark.slow
def test_a_picture_can_be_dropped_or_pasted_and_the_text_copied(picture, tmp_path):
    png = io.BytesIO()
    Image.open(picture).save(png, "PNG")
    (wanted,) = Reader(predict.PRETRAINED).read([png.getvalue()])
    read = "document.querySelector('#answers bdi')?.textContent"
    with served() as server, chromium.tab(tmp_path) as tab:
        tab.resize(1000, 800)
        tab.open(server.address)
        tab.allow_clipboard(server.address)
        tab.drop("#drop", picture)
        tab.until(read)
        assert not tab.run("document.querySelector('#drop').classList.contains('over')")
        tab.open(server.address)
        assert tab.run(read) is None
        held = f"new Blob([new Uint8Array({list(png.getvalue())})], {{type: 'image/png'}})"
        tab.run(f"navigator.clipboard.write([new ClipboardItem({{'image/png': {held}}})])")
        tab.press("v", ord("V"), "paste")
        assert tab.until(read) == wanted.text
        tab.run("document.querySelector('#answers button').click()")
        tab.until("document.querySelector('#said').textContent === 'Copied.'")
        assert tab.run("navigator.clipboard.readText()") == wanted.text


@browser
@pytest.mark.slow
def test_two_models_stand_side_by_side_and_below_each_other_where_it_is_narrow(picture, tmp_path):
    with served(predict.PRETRAINED, f"beside={predict.PRETRAINED}") as server, chromium.tab(tmp_path) as tab:
        tab.open(server.address)
        tab.choose("#file", picture)
        tab.until("document.querySelectorAll('#answers section').length === 2")
        places = "[...document.querySelectorAll('section')].map((one) => one.getBoundingClientRect().top)"
        for width, beside in ((1280, True), (320, False)):
            tab.resize(width, 900, dark=not beside)
            tab.until(f"innerWidth === {width}")
            first, second = tab.run(places)
            assert (first == second) == beside
            assert tab.run("document.documentElement.scrollWidth") <= width
            pixels = np.asarray(Image.open(io.BytesIO(tab.picture())).convert("L"))
            assert (np.median(pixels) > 128) == beside  # dark where the reader prefers it


@browser
@pytest.mark.slow
def test_boxes_are_drawn_where_words_were_found_and_the_keyboard_reaches_all(picture, tmp_path, detector):
    with served(detector, "recogniser=words") as server, chromium.tab(tmp_path) as tab:
        tab.resize(1000, 800)
        tab.open(server.address)
        tab.choose("#file", picture)
        tab.until("document.querySelectorAll('polygon').length")
        count = tab.run("document.querySelectorAll('#answers li').length")
        assert tab.run("document.querySelectorAll('polygon').length") == count > 0
        seen = []
        for _ in range(count + 6):
            tab.press("Tab", TAB)
            seen.append(tab.run("document.activeElement.tagName"))
            if seen[-1] == "LI":
                assert tab.run("document.querySelectorAll('polygon.chosen').length") == 1
        assert seen.count("LI") >= count
        assert {"A", "INPUT", "LI"} <= set(seen)
        unnamed = (
            "[...document.querySelectorAll('input, textarea')].filter((one) => !one.labels.length).length"
        )
        assert tab.run(unnamed) == 0
