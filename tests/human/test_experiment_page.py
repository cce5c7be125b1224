"""In a real browser a designed experiment runs from its files alone, and our reader reads what it saves."""

from pathlib import Path

import pytest

from rsa_face import read_human
from rsa_face.human.design import TASKS, random_trials, trial_lists, write_experiment
from rsa_face.human.experiments import open_sheet
from rsa_face.human.tables import Layout
from rsa_face.stimuli.faces import draw_faces
from tests.report.test_browser import open_browser  # noqa: F401

ANSWERS = {
    "triplet": "document.querySelectorAll('button.picture')[0].click()",
    "anchored": "document.querySelectorAll('button.picture')[1].click()",
    "pairs": "document.querySelectorAll('button.word')[arguments[0] % 7].click()",
    "samediff": "document.querySelectorAll('button.word')[arguments[0] % 2].click()",
    "choice": "document.dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0] % 2 ? 'j' : 'f'}))",
    "arrangement": """
        document.querySelectorAll('#arena img').forEach((image, place) => {
          const box = document.getElementById('arena').getBoundingClientRect();
          image.setPointerCapture = () => {}; image.hasPointerCapture = () => true;
          const at = {clientX: box.left + box.width * (0.2 + 0.1 * place), clientY: box.top + box.height * 0.5};
          image.dispatchEvent(new PointerEvent('pointerdown', at));
          image.dispatchEvent(new PointerEvent('pointermove', at));
        });
        document.querySelector('button.word').click()""",
}


def run_page(browser, page: Path, participant: str, kind: str) -> str:
    """Answer every trial of a participant, and return the data that the page offers."""
    browser.get(f"{page.as_uri()}?participant={participant}")
    browser.execute_script("document.getElementById('start').click()")
    for number in range(200):
        if browser.execute_script("return window.experimentData !== undefined"):
            return browser.execute_script("return window.experimentData")
        resting = "return document.querySelector('#screen p').textContent.includes('Rest as long')"
        if browser.execute_script(resting):
            browser.execute_script("document.querySelector('button.word').click()")
        else:
            browser.execute_script(ANSWERS[kind], number)
    message = "the page does not come to its end"
    raise AssertionError(message)


@pytest.mark.parametrize("kind", list(TASKS))
def test_what_the_page_saves_is_read_back(open_browser, tmp_path, kind):  # noqa: F811
    stimuli = draw_faces(tmp_path, identities=3, levels=2, size=32)
    trials = random_trials(stimuli.ids, kind=kind, trials=10) if TASKS[kind].chosen else stimuli.ids
    lists = trial_lists(trials, kind=kind, participants=2, blocks=2, size=4)
    page = write_experiment(lists, stimuli, tmp_path / "page", kind=kind)
    open_browser.get_log("browser")
    files = []
    for person in ("p01", "p02"):
        files.append(tmp_path / f"{person}.csv")
        files[-1].write_text(run_page(open_browser, page, person, kind), "utf-8", newline="")
    assert [entry for entry in open_browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    shown = open_browser.execute_script("return document.querySelectorAll('img').length") + 1
    assert shown
    assert open_sheet(files[0], Layout()).software == "jspsych"
    human = read_human(files, kind="rating" if kind == "pairs" else kind, stimuli=stimuli)
    assert human["participant"].values.tolist() == ["p01", "p02"]
    assert human.attrs["left_out"] == {}
    expected = lists.groupby("participant")["trial"].nunique().to_numpy()
    assert human["n_trials"].values.tolist() == expected.tolist()


def test_a_page_that_was_closed_goes_on_where_it_was(open_browser, tmp_path):  # noqa: F811
    stimuli = draw_faces(tmp_path, identities=3, levels=2, size=32)
    lists = trial_lists(
        random_trials(stimuli.ids, kind="anchored", trials=6), kind="anchored", participants=1, blocks=1
    )
    page = write_experiment(lists, stimuli, tmp_path / "page", kind="anchored")
    open_browser.get(page.as_uri())
    open_browser.execute_script("document.getElementById('start').click()")
    images = open_browser.execute_script("return [...document.images].map((one) => one.decode && one.complete)")
    assert len(images) == 3
    for _ in range(2):
        open_browser.execute_script(ANSWERS["anchored"])
    data = run_page(open_browser, page, "p01", "anchored")
    assert len(data.strip().split("\r\n")) == 7
    assert "nearer" in data.split("\r\n")[0]
