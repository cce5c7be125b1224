"""Files of experiment software in their documented forms, and tables laid out unlike ours, are read as trials."""

import json

import numpy as np
import pytest

from rsa_face.cli import main
from rsa_face.human.experiments import SOFTWARE, guess_software, open_sheet
from rsa_face.human.read import read_human
from rsa_face.human.tables import Layout

FACES = ("a", "b", "c")
# What two people answered to each of three faces, and what became of it elsewhere.
ANSWERS = {"p1": ["happy", "sad", "happy"], "p2": ["happy", "happy", "sad"]}


def expected(tmp_path, people=tuple(ANSWERS)):
    rows = [f"{who},{face},{answer}" for who in people for face, answer in zip(FACES, ANSWERS[who], strict=True)]
    path = tmp_path / "plain.csv"
    path.write_text("\n".join(["participant,stimulus,response", *rows]))
    return read_human(path, kind="choice")


def write(path, *lines, encoding="utf-8"):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("\n".join(lines) + "\n", encoding)
    return path


def trials_of(who):
    return enumerate(zip(FACES, ANSWERS[who], strict=True))


def jspsych_records(who):
    """Return the data of one run: instructions, a fixation, and pictures with buttons, one not answered in time."""
    common = {"rt": 512, "time_elapsed": 2000, "internal_node_id": "0.0-1.0", "participant_id": who}
    records = [
        {"trial_type": "instructions", "view_history": [{"page_index": 0, "viewing_time": 12}], "trial_index": 0}
    ]
    for number, (face, answer) in trials_of(who):
        picture = {"trial_type": "image-button-response", "stimulus": f"img/{face}.png"}
        records.append({**picture, "response": int(answer == "happy"), "trial_index": number + 1})
    records.append(
        {"trial_type": "image-button-response", "stimulus": "img/a.png", "response": None, "trial_index": 9}
    )
    return [{**common, **record} for record in records]


BUTTONS = {"recode": {"response": {"0": "sad", "1": "happy"}}}


@pytest.mark.parametrize("form", ["a file each", "runs on lines", "csv"])
def test_jspsych(tmp_path, form):
    runs = [jspsych_records(who) for who in ANSWERS]
    if form == "a file each":
        paths = [write(tmp_path / f"{n}.json", json.dumps(run, indent=1)) for n, run in enumerate(runs)]
    elif form == "runs on lines":
        paths = [write(tmp_path / "jatos_results.txt", *map(json.dumps, runs))]
    else:
        names = list(dict.fromkeys(name for run in runs for record in run for name in record))
        cells = [
            [
                "" if name not in one else one[name] if isinstance(one[name], str) else json.dumps(one[name])
                for name in names
            ]
            for run in runs
            for one in run
        ]
        lines = [",".join('"' + str(cell).replace('"', '""') + '"' for cell in row) for row in [names, *cells]]
        paths = [write(tmp_path / "data.csv", *lines)]
    human = read_human(paths, kind="choice", layout=BUTTONS)
    np.testing.assert_array_equal(human.values, expected(tmp_path).values)
    assert human["stimulus_i"].values.tolist() == list(FACES)
    assert human.attrs["left_out"] == {"response is missing (null)": 2, "screens without a stimulus": 2}


def test_jspsych_pairs_and_answers_inside_json(tmp_path):
    pairs = [(("a.png", "b.png"), "different"), (("a.png", "c.png"), "same"), (("b.png", "c.png"), "different")]
    records = [
        {"trial_type": "same-different-image", "trial_index": n, "time_elapsed": 1, "subject": "p1", "stimulus": pair,
         "response": {"Q0": word}}
        for n, (pair, word) in enumerate(pairs)
    ]  # fmt: skip
    human = read_human(write(tmp_path / "x.json", json.dumps(records)), kind="samediff")
    assert human.sel(stimulus_i="a", stimulus_j=["b", "c"]).values.tolist() == [[1.0, 0.0]]


def test_jspsych_free_sort_is_an_arrangement(tmp_path):
    places = [{"src": "a.png", "x": 0, "y": 0}, {"src": "b.png", "x": 3, "y": 4}, {"src": "c.png", "x": 6, "y": 8}]
    record = {"trial_type": "free-sort", "trial_index": 4, "time_elapsed": 1, "subject": "p1", "moves": []}
    path = write(tmp_path / "x.json", json.dumps([{**record, "final_locations": places}]))
    human = read_human(path, kind="arrangement", layout={"software": "jspsych"})
    square = human.sel(participant="p1")
    assert square.sel(stimulus_i="a", stimulus_j="c").item() == 2 * square.sel(stimulus_i="a", stimulus_j="b").item()


def test_psychopy(tmp_path):
    head = "image,trials.thisN,key_resp.keys,key_resp.rt,participant,session,date,expName,psychopyVersion,frameRate,"
    for who in ANSWERS:
        rows = [f"img\\{face}.png,{n},{answer[0]},0.5,{who},001,2024-01-03,faces,2023.2.3,60,"
                for n, (face, answer) in trials_of(who)]  # fmt: skip
        late = f"img\\a.png,3,None,,{who},001,2024-01-03,faces,2023.2.3,60,"
        write(tmp_path / f"{who}_faces.csv", head, f",,,,{who},001,2024-01-03,faces,2023.2.3,60,", *rows, late)
    layout = {"columns": {"stimulus": "image"}, "recode": {"response": {"h": "happy", "s": "sad"}}}
    human = read_human(tmp_path, kind="choice", layout=layout)
    np.testing.assert_array_equal(human.values, expected(tmp_path).values)
    assert human.attrs["left_out"] == {"key_resp.keys is missing (None)": 2, "screens without a stimulus": 2}


@pytest.mark.parametrize(
    ("kind", "answered", "other"),
    [
        ("Zone Type", "response_button_text", "content_image"),
        ("Zone Type", "response_slider_endValue", "response_slider"),
        ("Response Type", "response", "info"),
    ],
)
def test_gorilla(tmp_path, kind, answered, other):
    lines = [f"Event Index,UTC Timestamp,Participant Private ID,Trial Number,{kind},Reaction Time,Response,face"]
    for who in ANSWERS:
        for n, (face, answer) in trials_of(who):
            lines += [f"{n},1,{who},{n},{other},1,,{face}.jpg", f"{n},1,{who},{n},{answered},512,{answer},{face}.jpg"]
    path = write(tmp_path / "gorilla.csv", *lines, "END OF FILE,,,,,,,")
    human = read_human(path, kind="choice", layout={"columns": {"stimulus": "face"}})
    np.testing.assert_array_equal(human.values, expected(tmp_path).values)
    assert human.attrs["left_out"] == {f"events of gorilla that are no answers ({kind})": 7}


def test_qualtrics(tmp_path):
    answered = {"p1": "IP Address", "p2": "16"}
    none = ["Survey Preview", "Offline Survey Preview", "EX Spam", "1", "17", "256"]
    lines = [
        "StartDate,EndDate,Status,ResponseId,Q_a,Q_b,Q_c",
        'Start Date,End Date,Response Type,Response ID,"Is this face happy, or sad?",How is b?,How is c?',
        *['"{""ImportId"":""startDate""}"' + ',"{""ImportId"":""x""}"' * 6],
        *(f"1,2,{answered[who]},{who},{','.join(answers)}" for who, answers in ANSWERS.items()),
        *(f"1,2,{status},{status},sad,sad,sad" for status in none),
    ]
    human = read_human(write(tmp_path / "q.csv", *lines), kind="choice", layout={"wide": "Q_{stimulus}"})
    np.testing.assert_array_equal(human.values, expected(tmp_path).values)
    assert human["participant"].values.tolist() == ["p1", "p2"]
    assert human.attrs["left_out"] == {"events of qualtrics that are no answers (Status)": len(none)}


@pytest.mark.parametrize("form", ["csv", "json"])
def test_labjs(tmp_path, form):
    records = []
    for who in ANSWERS:
        common = {"sender_type": "html.Screen", "ended_on": "response", "participant_id": who}
        records.append({**common, "sender": "Instructions", "sender_id": "0"})
        for n, (face, answer) in trials_of(who):
            shown = {"sender": "Face", "sender_id": f"1_{n}", "face": f"{face}.png"}
            records.append({**common, **shown, "sender": "Fixation", "ended_on": "timeout"})
            records.append({**common, **shown, "response": answer, "duration": "512"})
            records.append({**common, **shown, "sender_type": "flow.Sequence", "ended_on": "completed"})
    names = ["sender", "sender_type", "sender_id", "ended_on", "response", "duration", "face", "participant_id"]
    lines = [",".join(names), *(",".join(one.get(name, "") for name in names) for one in records)]
    path = write(tmp_path / f"x.{form}", *([json.dumps(records)] if form == "json" else lines))
    human = read_human(path, kind="choice", layout={"columns": {"stimulus": "face"}})
    np.testing.assert_array_equal(human.values, expected(tmp_path).values)
    events = 2 * sum(len(list(trials_of(who))) for who in ANSWERS)
    assert human.attrs["left_out"] == {
        "screens without a stimulus": 2,
        "events of labjs that are no answers (ended_on)": events,
    }


def test_the_log_of_eprime(tmp_path):
    paths = []
    for who in ANSWERS:
        lines = ["*** Header Start ***", "VersionPersist: 1", "Experiment: faces", f"Subject: {who}", "Session: 1",
                 "*** Header End ***"]  # fmt: skip
        for face, answer in zip(FACES, ANSWERS[who], strict=True):
            inner = [f"Face: {face}.bmp", f"Probe.RESP: {answer}", "Probe.RT: 512"]
            lines += [
                "\tLevel: 2",
                "\t*** LogFrame Start ***",
                *(f"\t{one}" for one in inner),
                "\t*** LogFrame End ***",
            ]
        lines += ["Level: 1", "*** LogFrame Start ***", "Block: main", "*** LogFrame End ***"]
        paths.append(write(tmp_path / f"{who}.txt", *lines, encoding="utf-16"))
    layout = {"columns": {"stimulus": "Face"}, "keep": {"Block": "main"}}
    human = read_human(paths, kind="choice", layout=layout)
    np.testing.assert_array_equal(human.values, expected(tmp_path).values)


def test_the_export_of_eprime_below_the_name_of_its_file(tmp_path):
    lines = ["C:\\data\\faces.edat2", "ExperimentName\tSubject\tSession\tTrial\tFace\tProbe.RESP\tProbe.RT"]
    lines += [
        f"faces\t{who}\t1\t{n}\t{face}.bmp\t{answer}\t512" for who in ANSWERS for n, (face, answer) in trials_of(who)
    ]
    human = read_human(write(tmp_path / "e.txt", *lines), kind="choice", layout={"columns": {"stimulus": "Face"}})
    np.testing.assert_array_equal(human.values, expected(tmp_path).values)


def test_the_log_of_presentation(tmp_path):
    head = "Subject\tTrial\tEvent Type\tCode\tTime\tTTime\tUncertainty\tDuration"
    paths = []
    for who in ANSWERS:
        rows = []
        for n, (face, answer) in trials_of(who):
            events = [("Picture", "fix", "0000"), ("Picture", f"{face}.jpg", "1000")]
            events.append(("Response", "1" if answer == "happy" else "2", "6120"))
            rows += [f"{who}\t{n}\t{kind}\t{code}\t{n}{time}\t0\t1\t1" for kind, code, time in events]
        below = ["", "Event Type\tCode\tType\tResponse\tRT", "Picture\ta.jpg\thit\t1\t512"]
        lines = ["Scenario -\tfaces", "Logfile written - 01/03/2024", "", head, "", *rows, *below]
        paths.append(write(tmp_path / f"{who}.log", *lines))
    layout = {"recode": {"response": {"1": "happy", "2": "sad"}}}
    human = read_human(paths, kind="choice", layout=layout)
    np.testing.assert_array_equal(human.values, expected(tmp_path).values)
    assert human.attrs["left_out"] == {"Response is missing (NA)": 6}
    assert open_sheet(paths[0], Layout()).read(None).column("RT")[1] == "512"


def test_a_sheet_of_excel(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["participant", "stimulus", "rating1", "rating2"])
    for who in (1, 2):
        for face, rating in zip(FACES, (1, 2.5, 4), strict=True):
            book.active.append([who, face, rating, rating * who])
        book.active.append([])
    book.save(tmp_path / "x.xlsx")
    human = read_human(tmp_path / "x.xlsx", kind="features")
    assert human["participant"].values.tolist() == ["1", "2"]
    assert human.sel(participant="2", stimulus_i="a", stimulus_j="c").item() == pytest.approx(45**0.5)
    book.create_sheet("more")
    book.save(tmp_path / "x.xlsx")
    with pytest.raises(ValueError, match="it has the sheets Sheet, more; name one: layout sheet=Sheet"):
        read_human(tmp_path / "x.xlsx", kind="features")
    assert read_human(tmp_path / "x.xlsx", kind="features", layout={"sheet": "Sheet"}).equals(human)


def test_a_sheet_of_excel_holds_an_rdm(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["stimulus", "a", "b"], ["a", 0, 0.5], ["b", 0.5, 0]):
        book.active.append(row)
    book.save(tmp_path / "x.xlsx")
    assert read_human(tmp_path / "x.xlsx", kind="rdm").sel(stimulus_i="a", stimulus_j="b").item() == 0.5


def test_every_software_is_known_by_its_header_alone():
    for name, row in SOFTWARE.items():
        assert not row.header or guess_software(["extra", *row.header]) == name
    assert guess_software(["participant", "stimulus", "response"]) == ""


def test_a_screen_of_text_is_no_stimulus(tmp_path):
    for who in ANSWERS:
        welcome = {"trial_type": "html-button-response", "stimulus": "<p>Welcome</p>", "response": 0, "task": "hi"}
        records = [{**one, "task": "face"} for one in jspsych_records(who)]
        run = [{**records[0], **welcome}, *records[1:]]
        write(tmp_path / f"{who}.json", json.dumps(run))
    with pytest.raises(ValueError, match=r"p1\.json, trial 1, column stimulus: '<p>Welcome</p>' is a screen of HTML"):
        read_human(tmp_path, kind="choice", layout=BUTTONS)
    human = read_human(tmp_path, kind="choice", layout={**BUTTONS, "keep": {"task": "face"}})
    np.testing.assert_array_equal(human.values, expected(tmp_path).values)


def test_an_unknown_software_and_a_broken_file_are_refused(tmp_path):
    path = write(tmp_path / "x.json", '[{"trial_type": "a", ')
    with pytest.raises(ValueError, match="jspysch"):
        read_human(path, kind="choice", layout={"software": "jspysch"})
    with pytest.raises(ValueError, match=r"x\.json' cannot be read: .* It is not a complete file of jspsych"):
        read_human(path, kind="choice")


def test_ninety_four_files_of_a_participant_each(tmp_path):
    for number in range(94):
        rows = [f"{face},{answer}" for face, answer in zip(FACES, ANSWERS["p1"], strict=True)]
        write(tmp_path / "data" / f"sub-{number:02d}_ses-1.csv", "stimulus,response", *rows)
    layout = {"files": "sub-{participant}_ses-{session}"}
    human = read_human(tmp_path / "data", kind="choice", layout=layout)
    assert human.sizes["participant"] == 94
    assert human["participant"].values[:2].tolist() == ["00", "01"]
    assert read_human(tmp_path / "data" / "sub-*.csv", kind="choice", layout=layout).equals(human)
    with pytest.raises(
        ValueError, match=r"^1 fault:\n  in all 94 files, such as sub-00_ses-1\.csv, line 1: there is no"
    ):
        read_human(tmp_path / "data", kind="choice")
    with pytest.raises(ValueError, match=r"in all 94 files, such as .*: is not called as 'x\{participant\}' says"):
        read_human(tmp_path / "data", kind="choice", layout={"files": "x{participant}"})


def test_folders_and_conditions_come_from_paths(tmp_path):
    for who in ANSWERS:
        for part in ("eyes", "mouth"):
            rows = [f"{face},{answer}" for face, answer in zip(FACES, ANSWERS[who], strict=True)]
            write(tmp_path / who / f"{part}.csv", "stimulus,response", *rows)
    layout = {"files": "{participant}/{part}", "by": "part"}
    human = read_human(tmp_path, kind="choice", layout=layout)
    assert human["part"].values.tolist() == ["eyes", "mouth"]
    np.testing.assert_array_equal(human.sel(part="eyes").values, expected(tmp_path).values)


def test_trial_numbers_begin_again_in_each_session(tmp_path):
    rows = [f"p1,{session},{n},{face},happy" for session in (1, 2) for n, face in enumerate(FACES)]
    path = write(tmp_path / "x.csv", "participant,session,trial,stimulus,response", *rows)
    assert read_human(path, kind="choice")["n_trials"].item() == 6
    assert read_human(path, kind="choice", layout={"by": "session"}).sizes["session"] == 2
    rows = [f"p1,{session},1,{face},{n * session},0" for session in (1, 2) for n, face in enumerate(FACES)]
    path = write(tmp_path / "y.csv", "participant,session,trial,stimulus,x,y", *rows)
    human = read_human(path, kind="arrangement")
    assert human["coverage"].sel(stimulus_i="a", stimulus_j="b").item() == 2


def test_ratings_of_two_sessions_are_averaged_and_without_their_column_a_fault(tmp_path):
    rows = [f"p1,{session},{face},{n * session}" for session in (1, 3) for n, face in enumerate(FACES)]
    path = write(tmp_path / "x.csv", "participant,run,stimulus,happy", *rows)
    layout = {"columns": {"session": "run"}}
    human = read_human(path, kind="features", options={"scales": ["happy"]}, layout=layout)
    assert human.sel(stimulus_i="a", stimulus_j="c").item() == 4
    with pytest.raises(ValueError, match=r"'a' is rated again .* \(several sessions\? name their column"):
        read_human(path, kind="features", options={"scales": ["happy"]})


@pytest.mark.parametrize("pattern", ["rater_{participant}", "(?P<participant>p.)_(?P<column>.*)"])
def test_the_answers_of_several_annotators_in_a_row(tmp_path, pattern):
    names = ["rater_p1", "rater_p2"] if pattern.startswith("rater") else ["p1_rating", "p2_rating"]
    lines = [f"stimulus_a,stimulus_b,{','.join(names)}", "a,b,1,2", "a,c,3,4", "b,c,5,"]
    human = read_human(write(tmp_path / "x.csv", *lines), kind="rating", layout={"wide": pattern})
    assert human.sel(stimulus_i="a", stimulus_j="c").values.tolist() == [3, 4]
    assert np.isnan(human.sel(participant="p2", stimulus_i="b", stimulus_j="c").item())
    assert human.attrs["left_out"] == {"empty cells of wide rows": 1}
    with pytest.raises(ValueError, match=r"No column of x\.csv is called as 'x_\{participant\}' says"):
        read_human(tmp_path / "x.csv", kind="rating", layout={"wide": "x_{participant}"})


def test_a_fault_in_a_wide_row_has_its_line(tmp_path):
    path = write(tmp_path / "x.csv", "stimulus_a,stimulus_b,r_p1,r_p2", "a,b,1,2", "a,c,3,x")
    with pytest.raises(ValueError, match=r"line 3, column value: 'x' is not a number"):
        read_human(path, kind="rating", layout={"wide": "r_{participant}"})


def test_a_preamble_is_skipped_and_its_length_is_proposed(tmp_path):
    rows = ["participant,stimulus,response", *(f"p1,{face},happy" for face in FACES), "p1,a,sad"]
    path = write(tmp_path / "x.csv", "Experiment of May", "written by hand, twice", "", *rows)
    with pytest.raises(ValueError, match=r"they stand on line 4: layout preamble=3"):
        read_human(path, kind="choice")
    assert read_human(path, kind="choice", layout={"preamble": 3})["n_trials"].item() == 4
    with pytest.raises(ValueError, match=r"line 9, column response"):
        read_human(write(path, *path.read_text().splitlines(), "p1,b,"), kind="choice", layout={"preamble": 3})


def test_practice_and_catch_trials_are_dropped_by_condition_and_counted(tmp_path):
    rows = [f"p1,{face},{answer},main" for face, answer in zip(FACES, ANSWERS["p1"], strict=True)]
    path = write(
        tmp_path / "x.csv", "participant,stimulus,response,block", "p1,a,sad,practice", *rows, "p1,b,x,catch"
    )
    human = read_human(path, kind="choice", layout={"drop": {"block": ["practice", "catch"]}})
    assert human.attrs["left_out"] == {"block is practice or catch": 2}
    np.testing.assert_array_equal(human.values, expected(tmp_path, ["p1"]).values)


def test_the_command_takes_the_software_a_folder_and_a_recoding(tmp_path, capsys):
    for who in ANSWERS:
        write(tmp_path / f"{who}.json", json.dumps(jspsych_records(who)))
    words = ["human", "check", tmp_path, "--kind", "choice", "--from", "jspsych"]
    words += ["-l", "recode.response.0=sad", "-l", "recode.response.1=happy", "--json"]
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    assert left.value.code == 0
    page = json.loads(capsys.readouterr().out)["parts"][0]
    assert page["summary"]["participants"] == "2: 'p1', 'p2'"
