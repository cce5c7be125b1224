"""The documentation is built without a warning, and its links lead somewhere."""

import re
import warnings
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import rsa_face
from rsa_face import figures
from rsa_face.cli.docs import PAGES, build_site

HEADING = re.compile(r"<h2>(.*?)</h2>", re.DOTALL)


class Page(HTMLParser):
    """The links of a page, and the places in it that links can lead to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, _tag, attrs):
        values = dict(attrs)
        self.ids |= {values["id"]} if values.get("id") else set()
        self.links += [values[name] for name in ("href", "src") if values.get(name)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Sphinx's extensions say of Sphinx to come
        return build_site(tmp_path_factory.mktemp("site"), strict=True).parent


def test_links_inside_the_site_lead_to_a_page_and_a_place_in_it(site):
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link.startswith("#"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                broken.append(f"{path.name}: {link}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                broken.append(f"{path.name}: no place {link}")
    assert broken == []
    assert len(pages) > 60


def test_a_notebook_shows_its_picture_and_leads_to_the_page_it_names(site):
    page = Page(site / "notebooks" / "01_quick_start.html")
    assert "../real_faces.html" in page.links
    assert "../_images/real_faces.png" in page.links


def test_every_public_name_has_a_page_with_what_it_takes(site):
    names = [name for name in dir(rsa_face) if callable(getattr(rsa_face, name))]
    for name in names:
        assert (site / "generated" / f"rsa_face.{name}.html").is_file(), name
    assert "noise_ceiling" in (site / "generated" / "rsa_face.RSA.html").read_text("utf-8")


def test_every_command_and_every_section_of_a_study_file_is_described(site):
    headings = {
        name: HEADING.findall((site / f"{name}.html").read_text("utf-8")) for name in ("command_line", "settings")
    }
    texts = {name: {re.sub("<[^>]+>", "", text).rstrip("#") for text in found} for name, found in headings.items()}
    assert {"rsa-face run", "rsa-face human check", "rsa-face docs"} <= texts["command_line"]
    assert {"inference", "networks.attention", "training.augmentation"} <= texts["settings"]


def test_the_gallery_shows_or_names_every_figure(site):
    page = (PAGES / "gallery.md").read_text("utf-8")
    assert all(f"`{name}`" in page for name in figures.__all__ if name.startswith("plot_"))
    pictures = re.findall(r"\((gallery/.*?\.png)\)", page)
    assert all((PAGES / picture).stat().st_size < 1_000_000 for picture in pictures)
    assert len(set(pictures)) == len(list((PAGES / "gallery").glob("*.png"))) == 15


def test_search_knows_the_words_of_every_page(site):
    index = (site / "searchindex.js").read_text("utf-8")
    assert all(f'"{page.stem}"' in index for page in PAGES.glob("*.md"))
