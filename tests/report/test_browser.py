"""In a real browser the report loads in peace, and what a reader points at is what is shown."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rsa_face.figures.layout import same_stimuli, sort_stimuli
from rsa_face.provenance import load
from rsa_face.report.page import write_report

webdriver = pytest.importorskip("selenium.webdriver", reason="the report is tested in a browser with selenium")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--window-size=1280,900")  # fmt: skip
COLORS = [(30 * n, 255 - 30 * n, 90) for n in range(8)]


@pytest.fixture(scope="module")
def report(results, tmp_path_factory) -> Path:
    return write_report(results, out=tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def open_browser(tmp_path_factory):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no chromium and chromedriver here (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for word in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield opened
    opened.quit()


@pytest.fixture
def page(open_browser, report):
    open_browser.get(report.as_uri())
    open_browser.get_log("browser")
    return open_browser


def read(page, element: str) -> str:
    return page.execute_script("return document.getElementById(arguments[0]).textContent", element)


def point_at(page, canvas: str, row: int, column: int, cells: int) -> None:
    page.execute_script(
        """const canvas = document.getElementById(arguments[0]);
        canvas.scrollIntoView({block: "center"});
        const box = canvas.getBoundingClientRect(), step = box.width / arguments[3];
        canvas.dispatchEvent(new PointerEvent("pointermove", {bubbles: true,
          clientX: box.left + (arguments[2] + 0.5) * step, clientY: box.top + (arguments[1] + 0.5) * step}));""",
        canvas,
        row,
        column,
        cells,
    )


def values_of(page) -> dict[str, str]:
    words = page.execute_script(
        "return [...document.querySelectorAll('#pair-values > *')].map((one) => one.textContent)"
    )
    return dict(zip(words[::2], words[1::2], strict=True))


def choose(page, element: str, value: str) -> None:
    page.execute_script(
        """const pick = document.getElementById(arguments[0]);
        pick.value = arguments[1];
        pick.dispatchEvent(new Event("change", {bubbles: true}));""",
        element,
        value,
    )


def face(page, element: str) -> list[int]:
    """Return the colour in the middle of a shown picture."""
    return page.execute_async_script(
        """const done = arguments[arguments.length - 1], image = document.querySelector(`#${arguments[0]} img`);
        image.decode().then(() => {
          const canvas = document.createElement("canvas");
          canvas.width = canvas.height = 9;
          const pen = canvas.getContext("2d");
          pen.drawImage(image, 0, 0, 9, 9);
          done([...pen.getImageData(4, 4, 1, 1).data].slice(0, 3));
        });""",
        element,
    )


def matrix(page) -> str:
    return page.execute_script("return document.getElementById('network-rdm').toDataURL()")


def test_the_page_loads_without_a_complaint_or_a_request(open_browser, report):
    open_browser.get("about:blank")
    open_browser.get_log("performance")
    open_browser.get(report.as_uri())
    assert open_browser.find_element("css selector", "html").get_attribute("data-ready") == "yes"
    assert [entry["message"] for entry in open_browser.get_log("browser")] == []
    events = [json.loads(entry["message"])["message"] for entry in open_browser.get_log("performance")]
    sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    urls = [one["request"]["url"] for one in sent if not one["documentURL"].startswith("chrome:")]
    assert [url for url in urls if not url.startswith(("data:", "blob:"))] == [report.as_uri()]


def test_a_cell_pointed_at_shows_its_two_faces_and_numbers(page, results):
    rdms, _ = sort_stimuli(load(results / "rdms.nc"))
    human = same_stimuli(load(results / "human_rdms.nc"), rdms).mean("participant")
    choose(page, "pick-network", "fe_alexnet")
    choose(page, "pick-layer", "fe")
    ids = rdms["stimulus_i"].values.tolist()
    table = dict(zip(load(results / "rdms.nc")["stimulus_i"].values.tolist(), range(16), strict=True))
    for row, column in [(2, 11), (15, 0), (7, 8)]:
        point_at(page, "network-rdm", row, column, 16)
        assert read(page, "name-i").startswith(f"{ids[row]} (")
        assert read(page, "name-j").startswith(f"{ids[column]} (")
        np.testing.assert_allclose(face(page, "face-i"), COLORS[table[ids[row]] % 8], atol=6)
        np.testing.assert_allclose(face(page, "face-j"), COLORS[table[ids[column]] % 8], atol=6)
        numbers = values_of(page)
        values = rdms.sel(rdm="fe_alexnet/fe").values
        upper = np.sort(values[np.triu_indices(16, k=1)])
        assert float(numbers["Dissimilarity"]) == pytest.approx(values[row, column], abs=6e-4)
        assert float(numbers["People"]) == pytest.approx(float(human[row, column]), abs=6e-4)
        assert numbers["Rank"] == f"{np.searchsorted(upper, values[row, column]) + 1} of 120"


def test_a_pair_never_judged_is_called_so(page, results):
    ids = sort_stimuli(load(results / "rdms.nc"))[0]["stimulus_i"].values.tolist()
    row, column = ids.index("plain none"), ids.index("two words none")
    point_at(page, "human-rdm", row, column, 16)
    assert values_of(page)["People"] == "never judged"


def test_another_layer_changes_the_matrix(page):
    choose(page, "pick-network", "alexnet")
    seen = set()
    for layer in ("relu1", "relu5", "fc8"):
        choose(page, "pick-layer", layer)
        assert read(page, "network-caption") == f"AlexNet {layer}"
        seen.add(matrix(page))
    choose(page, "pick-scale", "value")
    seen.add(matrix(page))
    assert len(seen) == 4


def test_one_occlusion_shows_its_stimuli_alone(page):
    choose(page, "pick-occlusion", "eyes")
    point_at(page, "network-rdm", 7, 0, 8)
    assert "eyes" in read(page, "name-i").split("(")[0]
    assert values_of(page)["Rank"].endswith(" of 28")


def test_the_matrix_is_reached_and_walked_by_keyboard(page):
    from selenium.webdriver.common.keys import Keys

    canvas = page.find_element("id", "network-rdm")
    point_at(page, "network-rdm", 3, 3, 16)
    before = read(page, "name-i"), read(page, "name-j")
    page.execute_script("arguments[0].focus()", canvas)
    canvas.send_keys(Keys.ARROW_DOWN)
    assert read(page, "name-i") != before[0]
    assert read(page, "name-j") == before[1]
    canvas.send_keys(Keys.ARROW_UP, Keys.ARROW_LEFT)
    assert read(page, "name-i") == before[0]
    assert read(page, "name-j") != before[1]


def test_ids_with_markup_are_shown_as_they_are(page, results):
    ids = sort_stimuli(load(results / "rdms.nc"))[0]["stimulus_i"].values.tolist()
    row = ids.index("</script><b> none")
    point_at(page, "network-rdm", row, 0, 16)
    assert read(page, "name-i").startswith("</script><b> none")
    assert page.execute_script("return document.querySelectorAll('b').length") == 0


def test_a_point_of_the_embedding_shows_its_face(page):
    choose(page, "pick-embedding", "1")
    page.execute_script(
        "document.querySelectorAll('#embedding circle')[5].dispatchEvent(new PointerEvent('pointerenter'))"
    )
    shown = page.execute_script(
        """const data = JSON.parse(document.getElementById("content").textContent).explorer;
        return data.stimuli[data.embeddings[1].stimuli[5]].id;"""
    )
    assert read(page, "point-name").startswith(shown)
    assert len(face(page, "point-face")) == 3


def test_the_embedding_says_what_its_colours_mean(page):
    text = page.execute_script("return document.querySelector('#embedding text').textContent")
    assert text.endswith("level: blue −1 to red 1")


def test_tables_sort_both_ways_and_by_number(page):
    column = """return [...document.querySelectorAll('#table-layers tbody tr')].map(
        (row) => Number(row.cells[3].dataset.value))"""
    button = page.find_elements("css selector", "#table-layers th button")[3]
    for order in (1, -1):
        page.execute_script("arguments[0].click()", button)
        values = np.array(page.execute_script(column))
        assert (np.diff(values) * order >= 0).all()
    assert page.execute_script("return arguments[0].parentElement.getAttribute('aria-sort')", button) == "descending"


def test_a_table_is_exported_with_all_digits_and_no_formula(page, results):
    text = page.execute_async_script(
        """const done = arguments[arguments.length - 1], create = URL.createObjectURL;
        URL.createObjectURL = (blob) => { blob.text().then(done); return create(blob); };
        document.querySelector('#table-layers tbody td').textContent = '=1+1';
        document.querySelector('button.export[data-table="layers"]').click();"""
    )
    lines = text.strip().split("\n")
    assert lines[0].startswith("network,layer,depth,similarity")
    assert lines[1].startswith("'=1+1,relu1,")
    assert float(lines[1].split(",")[3]) == load(results / "layers.nc")["similarity"].values[0]


def test_the_layer_curve_is_drawn_and_says_what_is_pointed_at(page):
    hovers = page.execute_script(
        """const chart = document.querySelector("#layers .chart");
        return chart.data.filter((one) => one.customdata).map((one) => one.customdata.length)"""
    )
    assert hovers == [3, 4]
    assert page.execute_script("return document.querySelectorAll('#layers .scatterlayer .trace').length") == 6


def test_the_answers_and_the_choices_are_drawn_and_another_view_can_be_chosen(page):
    drawn = page.execute_script(
        """return Object.fromEntries([...document.querySelectorAll("section")]
          .filter((one) => one.querySelector(".chart"))
          .map((one) => [one.id, one.querySelectorAll(".point path, path.point").length]))"""
    )
    assert set(drawn) == {"answer", "layers", "localization", "contrast", "psychometric"}
    assert all(count > 0 for count in drawn.values())
    state = """const chart = document.querySelector(`#${arguments[0]} .chart`);
        return [chart.getAttribute("aria-label"), JSON.stringify(chart.data.map((one) => one.y))]"""
    for section, text in (("contrast", "VGG16"), ("psychometric", "eyes masked")):
        before = page.execute_script(state, section)
        choose(page, f"pick-{section}", "1")
        after = page.execute_script(state, section)
        assert text in after[0]
        assert text not in before[0]
        assert page.execute_script(f"return document.querySelector('#{section} .viewed span').textContent") == text
    assert after[1] != before[1]


def test_the_slider_reads_out_each_layer_and_shows_it_in_the_explorer(page, results):
    result = load(results / "layers.nc")
    rows = result.isel(rdm=(result["network"] == "fe_alexnet").values)
    slide = """const slider = document.getElementById(arguments[0]);
        slider.value = arguments[1];
        slider.dispatchEvent(new Event("input", {bubbles: true}));"""
    for place, (layer, value) in enumerate(zip(rows["layer"].values, rows["similarity"].values, strict=True)):
        page.execute_script(slide, "slide-answer", str(place))
        assert read(page, "slid").startswith(f"FE-AlexNet {layer}, similarity {value:.3f}, 95% interval")
        assert read(page, "network-caption") == f"FE-AlexNet {layer}"
    page.execute_script(slide, "slide-layer", "0")
    assert read(page, "network-caption") == "FE-AlexNet relu1"


def test_every_figure_is_downloaded_as_png_svg_and_csv(page, results):
    save = """const done = arguments[arguments.length - 1], click = HTMLAnchorElement.prototype.click;
        const create = URL.createObjectURL, blobs = {};
        URL.createObjectURL = (blob) => { const url = create(blob); blobs[url] = blob; return url; };
        HTMLAnchorElement.prototype.click = function () {
          HTMLAnchorElement.prototype.click = click;
          URL.createObjectURL = create;
          const reader = new FileReader();
          reader.onload = () => done([this.download, reader.result]);
          reader.readAsBinaryString(blobs[this.href]);
        };
        document.querySelector(`#${arguments[0]} .downloads [data-format="${arguments[1]}"]`).click();"""
    sections = page.execute_script(
        """return [...document.querySelectorAll('section')].filter((one) => one.querySelector('.downloads'))
          .map((one) => one.id)"""
    )
    assert sections == ["answer", "layers", "localization", "contrast", "psychometric", "rdms", "embeddings"]
    for section in sections:
        files = {kind: page.execute_async_script(save, section, kind) for kind in ("png", "svg", "csv")}
        assert all(name.endswith(f".{kind}") for kind, (name, _) in files.items())
        assert files["png"][1].startswith("\x89PNG")
        assert "<svg" in files["svg"][1]
        assert files["csv"][1].count("\n") > 3
    table = pd.read_csv(io.StringIO(page.execute_async_script(save, "layers", "csv")[1]))
    np.testing.assert_array_equal(table["similarity"], load(results / "layers.nc")["similarity"].values)
    assert page.get_log("browser") == []


def test_the_figures_alone_are_printed(page):
    page.execute_script("window.print = () => {}; document.getElementById('print-figures').click()")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        shown = page.execute_script(
            """return [...document.querySelectorAll('section')]
              .filter((one) => one.offsetParent !== null && one.offsetHeight > 40).map((one) => one.id)"""
        )
        assert shown == ["answer", "layers", "localization", "contrast", "psychometric", "rdms", "embeddings"]
        assert page.execute_script("return document.querySelector('.answer').offsetParent") is None
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        page.execute_script("window.dispatchEvent(new Event('afterprint'))")


def test_a_layer_pointed_at_says_its_value_interval_and_number_of_people(page, results):
    from selenium.webdriver.common.action_chains import ActionChains

    page.refresh()  # whatever was chosen or pointed at before
    point = page.find_element("css selector", "#layers path.point")
    page.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", point)
    ActionChains(page).move_by_offset(2, 2).move_to_element(point).move_by_offset(1, 1).perform()
    page.implicitly_wait(2)
    text = page.find_element("css selector", "#layers .hovertext").text
    page.implicitly_wait(0)
    value = load(results / "layers.nc")["similarity"].values[0]
    assert f"similarity {value:.3f}" in text
    assert "95% interval" in text
    assert "n = 5 participants" in text


def test_everything_that_can_be_used_is_reached_by_tab_and_has_a_name(page):
    names = page.execute_script(
        """const nameOf = (one) => (one.getAttribute("aria-label") || one.getAttribute("aria-labelledby")
            || (one.labels && one.labels.length && one.labels[0].textContent) || one.textContent || "").trim();
        return [...document.querySelectorAll("a[href], button, select, summary, canvas, #embedding, [tabindex='0']")]
          .filter((one) => one.offsetParent !== null || one.id === "embedding" || one.classList.contains("skip"))
          .map((one) => [one.tagName, one.tabIndex, nameOf(one)])"""
    )
    assert len(names) > 30
    assert [one for one in names if one[1] < 0 or not one[2]] == []


def test_print_shows_short_tables_and_every_chart(page):
    page.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    try:
        assert (
            page.execute_script("return document.querySelectorAll('details:not([open]):not(.long) table').length")
            == 0
        )
        assert page.execute_script("return document.querySelectorAll('.chart .main-svg').length") > 0
    finally:
        page.execute_script("window.dispatchEvent(new Event('afterprint'))")


@pytest.mark.parametrize(("width", "dark"), [(1280, True), (390, False), (390, True)])
def test_the_page_fits_its_screen_in_light_and_dark(page, width, dark):
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    scheme = {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]}
    try:
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
        page.refresh()
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        paper = page.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") != dark
        assert [entry["message"] for entry in page.get_log("browser")] == []
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
