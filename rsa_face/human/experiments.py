"""Files as experiment software writes them, and tables laid out unlike ours: opened as plain tables of text.

`open_sheet` reads the header of any file and guesses, or takes from the layout, which software wrote it; reading its
columns gives a `Table`, with the parts of file names as columns, wide rows made long, and events that are no trials
left out and counted. `Software` says for each program how its files are known and what it calls our columns.
"""

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rsa_face.human.tables import Fault, Head, Layout, Table, encoding_of, head_of, raise_faults, read_table
from rsa_face.safety import must_not_swell, reading
from rsa_face.schema import must_be_known
from rsa_face.stimuli.names import as_pattern, parts_of_name

VALUE = "value"  # what a wide row's cells become, unless their columns' names say it
_PICTURE = re.compile(r"\.(png|jpe?g|bmp|gif|tiff?|webp)$", re.IGNORECASE)
_SOURCE = re.compile(r"<img[^>]*\bsrc\s*=\s*[\"']?([^\"'>\s]+)", re.IGNORECASE)
Records = list[dict[str, str]]


@dataclass(frozen=True)
class Software:
    """How the files of one program are known, and what it calls things.

    Parameters
    ----------
    about : str
        The program, and the files that are read.
    header : tuple of str
        Columns that its tables have and others do not.
    columns : dict of str to tuple of str
        Our column (``answer`` stands for a kind's answer) -> its names there, the likeliest first. A name with ``*``
        counts where one column alone is called so.
    answers : dict of str to str
        Column -> the pattern of its values in rows that are answers; of the first that the file has. Other rows are
        events, which are left out and counted.
    begins : str
        How a file begins that is no table.
    records : callable, optional
        The text of such a file -> its rows.
    labels : int
        Rows of labels below the header.
    nested : bool
        Whether cells may hold JSON.
    """

    about: str
    header: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    begins: str = ""
    records: Callable[[str], Records] | None = None
    labels: int = 0
    nested: bool = False


@dataclass(frozen=True)
class Sheet:
    """A file whose header is known, and which software wrote it: its columns are read when they are wanted."""

    path: Path
    header: tuple[str, ...]
    software: str
    read: Callable[[Sequence[str] | None], Table]
    header_line: int = 0

    def named(self, names: Iterable[str], answers: Iterable[str], layout: Layout) -> Layout:
        """Return the layout with the columns that this software is known to call otherwise."""
        row = SOFTWARE.get(self.software)
        known: dict[str, str] = {}
        for name in names:
            if name in layout.columns or name in self.header:
                continue
            ours = ("answer",) if name in answers else ()
            candidates = [one for key in (name, *ours) for one in (row.columns.get(key, ()) if row else ())]
            candidates += [VALUE] if layout.wide and name in answers else []
            column = next((one for each in candidates if (one := self._called(each))), None)
            if column is not None:
                known[name] = column
        return layout.changed(columns={**known, **layout.columns}) if known else layout

    def _called(self, name: str) -> str | None:
        if "*" not in name:
            return name if name in self.header else None
        matches = [one for one in self.header if fnmatchcase(one, name)]
        return matches[0] if len(matches) == 1 else None


def open_sheet(path: Path, layout: Layout) -> Sheet:
    """Open a file of any software."""
    if layout.software is not None:
        must_be_known(layout.software, SOFTWARE, "experiment software")
    sheet = _opened(path, layout)
    if layout.wide is not None:
        sheet = _long(sheet, layout.wide)
    return _with_parts_of_name(sheet, layout.files)


def read_sheet(path: Path, layout: Layout, wanted: Sequence[str] | None = None) -> Table:
    """Read some columns of a file of any software, or all."""
    return open_sheet(path, layout).read(wanted)


def _opened(path: Path, layout: Layout) -> Sheet:
    ending = path.suffix.lower()
    if ending in (".xlsx", ".xlsm"):
        header, rows = _excel(path, layout)
        software = layout.software or guess_software(header)
        row = SOFTWARE.get(software)
        columns = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(header, ())
        return _of_table(_as_table(path, columns, 2 + (layout.preamble or 0), "row"), software, row)
    text = _text_of_no_table(path, layout)
    if text is not None:
        name, content = text
        make = SOFTWARE[name].records
        assert make is not None
        with reading(path, f"It is not a complete file of {name}", then="Export it again."):
            records = make(content)
        if not records:
            message = f"{path.name} holds no trials of {name}. Export it again."
            raise ValueError(message)
        names = list(dict.fromkeys(name for record in records for name in record))
        must_not_swell(8 * len(names) * len(records), path)
        columns = {name: tuple(record.get(name, "") for record in records) for name in names}
        return _of_table(_as_table(path, columns, 1, "trial"), name, SOFTWARE[name])
    head = head_of(path, layout)
    software = layout.software or guess_software(head.header)
    if not software and layout.preamble is None and not layout.names:
        below = _header_below(head, path, layout)
        head, software = below or (head, software)
    row = SOFTWARE.get(software)
    if row is not None and (row.nested or row.labels):
        return _of_table(read_table(head, layout, None), software, row)
    line = head.first_line - 1
    return Sheet(path, head.header, software, lambda wanted: _answers(head, layout, wanted, software, row), line)


def guess_software(header: Sequence[str]) -> str:
    """Return which software calls columns like these; empty if none is known to."""
    return next((name for name, row in SOFTWARE.items() if row.header and set(row.header) <= set(header)), "")


def _header_below(head: Head, path: Path, layout: Layout) -> tuple[Head, str] | None:
    """Return the header of a known software on one of the next lines, as E-DataAid's is below the file's name."""
    with path.open(encoding=head.encoding, newline="") as file:
        lines = [file.readline() for _ in range(4)]
    for above, line in enumerate(lines):
        for separator in "\t,;":
            cells = next(csv.reader([line], delimiter=separator), [])
            software = guess_software([cell.strip() for cell in cells])
            if software and above:
                return head_of(path, layout.changed(preamble=above)), software
    return None


def _of_table(table: Table, software: str, row: Software | None) -> Sheet:
    """Return the sheet of a table that is read already."""
    if row is not None:
        table = _only_answers(_without_labels(_unnested(table) if row.nested else table, row), software, row)
    table = replace(table, software=software)
    return Sheet(table.path, table.header, software, lambda _: table)


def _answers(head: Head, layout: Layout, wanted: Sequence[str] | None, software: str, row: Software | None) -> Table:
    if row is None:
        return read_table(head, layout, wanted)
    events = [name for name in row.answers if name in head.header][:1]
    table = read_table(head, layout, None if wanted is None else [*wanted, *events])
    return replace(_only_answers(table, software, row), software=software)


def _only_answers(table: Table, software: str, row: Software) -> Table:
    name = next((name for name in row.answers if name in table.codes), None)
    if name is None:
        return table
    pattern = re.compile(row.answers[name], re.IGNORECASE)
    is_answer = np.array([bool(pattern.fullmatch(value)) for value in table.values[name]], dtype=bool)
    rows = is_answer[table.codes[name]] if len(is_answer) else np.zeros(0, bool)
    return table.select(rows, f"events of {software} that are no answers ({name})")


def _without_labels(table: Table, row: Software) -> Table:
    """Leave out the rows of labels below a header, which are no data."""
    if not row.labels:
        return table
    first = min(row.labels, len(table.rows))
    has_ids = any(
        "ImportId" in table.values[name][code] for name in table.codes for code in table.codes[name][:first]
    )
    return table.select(np.arange(len(table.rows)) >= first, "") if has_ids else table


# -- JSON and other files that are no tables ----------------------------------------------------------------------


def _text_of_no_table(path: Path, layout: Layout) -> tuple[str, str] | None:
    """Return which software wrote a file that is no table, and its text; None for a table."""
    with path.open("rb") as file:
        start = file.read(64)
    if not start.strip(b"\0\xff\xfe\xef\xbb\xbf \t\r\n"):
        return None
    encoding = layout.encoding or encoding_of(path)
    with path.open(encoding=encoding) as opened:
        begin = opened.read(64).lstrip("\ufeff \t\r\n")
    found = [name for name, row in SOFTWARE.items() if row.begins and re.match(row.begins, begin)]
    if not found or (begin.startswith(("[", "{")) and path.suffix.lower() not in (".json", ".txt")):
        return None
    text = path.read_text(encoding).lstrip("\ufeff")
    if layout.software in found:
        return layout.software, text
    # JSON is of either of two programs, which name the rows of their parts otherwise
    return ("labjs" if "labjs" in found and '"sender_type"' in text else found[0]), text


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value).strip()


def _flat(name: str, value: object) -> dict[str, str]:
    """Return a nested value as columns, ``response.Q0``; one that holds a single value also stands for itself."""
    if not isinstance(value, dict | list):
        return {name: _cell(value)}
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    cells = {key: cell for part, inner in parts for key, cell in _flat(f"{name}.{part}", inner).items()}
    return {name: next(iter(cells.values())), **cells} if len(cells) == 1 else cells


def _json_records(text: str) -> Records:
    """Return the rows of JSON: one list of them, or several one after another, as servers save a run each."""
    decoder, at, runs = json.JSONDecoder(), 0, []
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        runs.append(value if isinstance(value, list) else value.get("trials", [value]))
        at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n,"))
    several = len(runs) > 1
    return [
        {**({"run": str(number)} if several else {}), **row}
        for number, run in enumerate(runs, start=1)
        for record in run
        for row in _rows_of_record(record)
    ]


def _rows_of_record(record: Mapping[str, Any]) -> Records:
    """Return the row of a trial; of an arrangement (jsPsych's free-sort) a row for each picture in its last place."""
    places = record.get("final_locations")
    if isinstance(places, str):
        places = json.loads(places)
    rest = {key: value for key, value in record.items() if key not in ("init_locations", "moves", "final_locations")}
    flat = {key: cell for name, value in rest.items() for key, cell in _flat(str(name), value).items()}
    if not isinstance(places, list):
        return [flat]
    return [{**flat, "stimulus": _cell(one["src"]), "x": _cell(one["x"]), "y": _cell(one["y"])} for one in places]


def _unnested(table: Table) -> Table:
    """Return a table with the values inside cells of JSON as columns of their own."""
    if "final_locations" in table.codes:
        rows = [
            dict(zip(table.codes, cells, strict=True)) for cells in zip(*map(table.column, table.codes), strict=True)
        ]
        made = [(at, one) for at, row in enumerate(rows) for one in _rows_of_record(_parsed(row))]
        names = list(dict.fromkeys(name for _, row in made for name in row))
        long = _as_table(table.path, {name: tuple(row.get(name, "") for _, row in made) for name in names}, 1, "line")
        return replace(
            long, rows=table.rows[[at for at, _ in made]], first_line=table.first_line, encoding=table.encoding,
            separator=table.separator,
        )  # fmt: skip
    codes, values = dict(table.codes), dict(table.values)
    for name in table.codes:
        parsed = [_parsed({name: value})[name] for value in table.values[name]]
        if not any(isinstance(value, dict | list) for value in parsed):
            continue
        cells = [_flat(name, value) if value != "" else {} for value in parsed]
        for key in dict.fromkeys(key for one in cells for key in one):
            codes[key], values[key] = _recoded(table.codes[name], [one.get(key, "") for one in cells])
    return replace(table, header=tuple(codes), codes=codes, values=values)


def _parsed(row: Mapping[str, str]) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    for name, text in row.items():
        parsed[name] = text
        if text.startswith(("{", "[")):
            try:
                parsed[name] = json.loads(text)
            except (ValueError, RecursionError):  # text that begins with a bracket
                continue
    return parsed


def _eprime_records(text: str) -> Records:
    """Return the trials of E-Prime's log: its deepest frames, with what the header and the frames around them say."""
    header: dict[str, str] = {}
    frames: list[tuple[int, dict[str, str]]] = []
    frame, level = header, 1
    for line in text.splitlines():
        stripped = line.strip()
        name, colon, value = stripped.partition(":")
        if stripped.startswith("*** LogFrame Start"):
            frame = {}
        elif stripped.startswith("*** LogFrame End"):
            frames.append((level, frame))
            frame = {}
        elif name == "Level" and colon:
            level = int(value)
        elif colon and not stripped.startswith("***"):
            frame[name] = value.strip()
    deepest = max((level for level, _ in frames), default=0)
    trials: Records = []
    for level, one in frames:
        if level == deepest:
            trials.append({**header, **one})
            continue
        for trial in trials:  # an outer frame is written below those in it
            if f"Level {level}" not in trial:
                trial |= {f"Level {level}": "", **{name: value for name, value in one.items() if name not in trial}}
    return [{name: value for name, value in one.items() if not name.startswith("Level ")} for one in trials]


def _presentation_records(text: str) -> Records:
    """Return the pictures of Presentation's log, each with the first response that follows it in its trial."""
    lines = iter(text.splitlines())
    header = next((line.split("\t") for line in lines if line.startswith("Subject\t")), [])
    trials: Records = []
    for line in lines:
        cells = dict(zip(header, line.split("\t"), strict=False))
        kind = cells.get("Event Type", "")
        if line.startswith("Event Type\t"):  # the table of responses, which begins below
            break
        if kind == "Picture":
            trials.append({**cells, "Response": "NA"})
        elif kind == "Response" and trials and trials[-1]["Response"] == "NA":
            shown = trials[-1]
            if cells.get("Trial") == shown.get("Trial"):
                # times are in tenths of a millisecond
                rt = f"{(int(cells['Time']) - int(shown['Time'])) / 10:g}"
                trials[-1] = {**shown, "Response": cells["Code"], "RT": rt}
    return trials


def _excel(path: Path, layout: Layout) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    try:
        import openpyxl
    except ModuleNotFoundError as error:
        message = (
            f"{path.name} is an Excel sheet, which needs openpyxl. Run pip install 'rsa-face[excel]', or save CSV."
        )
        raise ModuleNotFoundError(message) from error
    with reading(path, "It is not a complete Excel sheet", then="Save it again, or as CSV."):
        with zipfile.ZipFile(path) as archive:
            must_not_swell(sum(part.file_size for part in archive.infolist()), path)
        book = openpyxl.load_workbook(io.BytesIO(path.read_bytes()), read_only=True, data_only=True)
        sheets = book.sheetnames
        if len(sheets) > 1 and layout.sheet is None:
            message = f"it has the sheets {', '.join(sheets)}; name one: layout sheet={sheets[0]}"
            raise ValueError(message)
        rows = [tuple(_excel_cell(value) for value in row) for row in book[layout.sheet or sheets[0]].values]
    rows = rows[layout.preamble or 0 :]
    if not rows:
        message = f"{path.name} is empty. A table has a header and rows."
        raise ValueError(message)
    header = rows[0]
    columns = [place for place, name in enumerate(header) if name or any(row[place] for row in rows[1:])]
    cells = [tuple(row[place] for place in columns) for row in rows[1:]]
    return tuple(header[place] for place in columns), cells


def _excel_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return _cell(value)


def _as_table(path: Path, columns: Mapping[str, Sequence[str]], first_line: int, unit: str) -> Table:
    codes, values = {}, {}
    for name, cells in columns.items():
        places, unique = pd.factorize(np.array(cells, dtype=object))
        codes[name], values[name] = places.astype(np.int32), [str(value) for value in unique]
    count = len(next(iter(columns.values()), ()))
    rows = np.arange(count, dtype=np.int32)
    if count and unit == "row":  # spreadsheets have blank rows
        blank = np.all([np.array([not v for v in values[name]], bool)[codes[name]] for name in codes], axis=0)
        codes, rows = {name: code[~blank] for name, code in codes.items()}, rows[~blank]
    return Table(path, tuple(columns), codes, values, (), first_line, rows, "", "", unit=unit)


def _recoded(codes: NDArray[np.int32], cells: list[str]) -> tuple[NDArray[np.int32], list[str]]:
    places, unique = pd.factorize(np.array(cells, dtype=object))
    return places.astype(np.int32)[codes] if len(cells) else codes, [str(value) for value in unique]


# -- layouts ------------------------------------------------------------------------------------------------------


def named_parts(paths: Sequence[Path], files: str) -> list[dict[str, str]]:
    """Return what the name of each file says; those that are not called so are refused together."""
    pattern = as_pattern(files)
    parts = [parts_of_name(pattern, path) for path in paths]
    faults = [
        Fault(path.name, 0, "", f"is not called as {files!r} says")
        for path, one in zip(paths, parts, strict=True)
        if one is None
    ]
    then = "Rename them, or change layout files."
    raise_faults(faults, "The names of files say whose they are", then=then, of=len(paths))
    return [one or {} for one in parts]


def _with_parts_of_name(sheet: Sheet, files: str | None) -> Sheet:
    """Return a sheet with the named parts of its file's name as columns."""
    if files is None:
        return sheet
    parts = named_parts([sheet.path], files)[0]
    clash = sorted(set(parts) & set(sheet.header))
    if clash:
        message = (
            f"{sheet.path.name} has a column {clash[0]!r} of its own. Name that part of the file's name otherwise."
        )
        raise ValueError(message)

    def read(wanted: Sequence[str] | None) -> Table:
        table = sheet.read(wanted)
        zeros = np.zeros(len(table.rows), np.int32)
        return replace(
            table,
            header=(*parts, *table.header),
            codes={**dict.fromkeys(parts, zeros), **table.codes},
            values={**{name: [value] for name, value in parts.items()}, **table.values},
        )

    return replace(sheet, header=(*parts, *sheet.header), read=read)


def _long(sheet: Sheet, wide: str) -> Sheet:
    """Return a sheet with a row for each annotator (or question) of a wide row.

    Columns whose names match the pattern hold the answers; the parts of their names become columns, and the part
    ``column`` says which column an answer goes to. An annotator who answered nothing in a row has none.
    """
    pattern = as_pattern(wide)
    matches = {name: match.groupdict() for name in sheet.header if name and (match := pattern.fullmatch(name))}
    if not matches:
        has = ", ".join(map(repr, sheet.header[:12]))
        message = f"No column of {sheet.path.name} is called as {wide!r} says. It has {has}. Change layout wide."
        raise ValueError(message)
    parts = [name for name in pattern.groupindex if name != "column"]
    groups: dict[tuple[str, ...], dict[str, str]] = {}
    for name, said in matches.items():
        key = tuple(said[part] or "" for part in parts)
        groups.setdefault(key, {})[said.get("column") or VALUE] = name
    targets = list(dict.fromkeys(target for group in groups.values() for target in group))
    rest = [name for name in sheet.header if name not in matches and name not in (*parts, *targets)]

    def read(wanted: Sequence[str] | None) -> Table:
        table = sheet.read(None if wanted is None else [*wanted, *matches])
        count, times = len(table.rows), len(groups)
        codes = {name: np.tile(table.codes[name], times) for name in rest if name in table.codes}
        values = {name: table.values[name] for name in codes}
        for place, part in enumerate(parts):
            unique = list(dict.fromkeys(key[place] for key in groups))
            of_group = np.array([unique.index(key[place]) for key in groups], np.int32)
            codes[part], values[part] = np.repeat(of_group, count), unique
        empty = np.ones(count * times, dtype=bool)
        for target in targets:
            known: dict[str, int] = {"": 0}
            each = []
            for group in groups.values():
                name = group.get(target)
                cells = table.values[name] if name is not None else []
                places = np.array([known.setdefault(cell, len(known)) for cell in cells], np.int32)
                each.append(places[table.codes[name]] if name is not None and count else np.zeros(count, np.int32))
            codes[target], values[target] = np.concatenate(each), list(known)
            empty &= codes[target] == 0
        long = replace(
            table, header=(*parts, *rest, *targets), codes=codes, values=values, rows=np.tile(table.rows, times)
        )
        return long.select(~empty, "empty cells of wide rows")

    return replace(sheet, header=(*parts, *rest, *targets), read=read)


def stimulus_of(text: str) -> str:
    r"""Return the id of a stimulus that a program wrote as a picture's path or HTML: the file's name, no ending.

    Examples
    --------
    >>> stimulus_of('<img src="faces/a01.png">'), stimulus_of("img\\\\a01.jpg"), stimulus_of("a01")
    ('a01', 'a01', 'a01')
    """
    match = _SOURCE.search(text)
    path = match[1] if match else text
    return _PICTURE.sub("", path.replace("\\", "/").rpartition("/")[2]) if _PICTURE.search(path) else text


_PARTICIPANTS = (
    "participant", "participant_id", "participantId", "participantID", "participant-id", "subject_id", "subject",
    "subjectId", "subject_nr", "prolific_pid", "PROLIFIC_PID", "prolific_id", "workerId", "id",
)  # fmt: skip

SOFTWARE: dict[str, Software] = {
    # https://www.jspsych.org/latest/overview/plugins/ (trial_type, trial_index and time_elapsed in every row) and the
    # pages of its plugins: `response` (a key, a button's number, or an object of answers), `rt`, `stimulus`;
    # same-different-image stores both stimuli as a list, free-sort `final_locations`, of src, x and y
    "jspsych": Software(
        "jsPsych 7 and 8: data saved as JSON or CSV, with JSON in cells",
        ("trial_type", "trial_index", "time_elapsed"),
        {
            "participant": _PARTICIPANTS,
            "answer": ("response", "response.*"),
            "stimulus_a": ("stimulus.0",),
            "stimulus_b": ("stimulus.1",),
            "trial": ("trial_index",),
        },
        begins=r"[\[{]",
        records=_json_records,
        nested=True,
    ),
    # "Data format" in lab.js's documentation (docs/reference of FelixHenninger/lab.js): a row for each component,
    # also for fixations and sequences, which have the parameters of their trial; ended_on says how it ended, and
    # duration is the reaction time. Of ids the library (data.js) knows id, participant and participant_id
    "labjs": Software(
        "lab.js: data saved as CSV or JSON",
        ("sender", "sender_type", "sender_id"),
        {"participant": _PARTICIPANTS, "answer": ("response",), "rt": ("duration",)},
        answers={"ended_on": "(?!(timeout|completed|skipped|aborted)$).*"},
        begins=r"[\[{]",
        records=_json_records,
    ),
    # https://psychopy.org/general/dataOutputs.html, "Long-wide data file": a row for each trial. Its columns are as
    # Builder's scripts write them: `participant` and `session` of expInfo, `expName`, and NAME.keys, NAME.response,
    # NAME.rt of each component called NAME
    "psychopy": Software(
        "PsychoPy and Pavlovia: the (trial-by-trial) CSV",
        ("participant", "expName"),
        {
            "participant": ("participant",),
            "session": ("session",),
            "answer": ("*.keys", "*.response"),
            "rt": ("*.rt",),
        },
    ),
    # https://support.gorilla.sc/support/publishing-and-open-science/data-analysis: a row for each event.
    # The rest is as scripts on GitHub read such files: END OF FILE in Event Index of the last line; answers where
    # Zone Type begins with response (Task Builder 1; go/no-go does not; of sliders the row response_slider_endValue
    # alone), or Response Type is response (2)
    "gorilla": Software(
        "Gorilla: data of a task, in long format",
        ("Event Index", "Participant Private ID"),
        {
            "participant": ("Participant Private ID",),
            "answer": ("Response",),
            "rt": ("Reaction Time",),
            "trial": ("Trial Number",),
        },
        answers={"Zone Type": "response(?!_slider).*|response_slider_endValue", "Response Type": "response"},
    ),
    # https://www.qualtrics.com/support/survey-platform/data-and-analysis-module/data/download-data/
    # understanding-your-dataset/: three rows of headers, a response a row. Status as in its files' value labels:
    # 0 IP Address, 16 Offline, 32 EX, 48 EX Offline are answers; 1, 2, 17 previews and tests, 4, 36, 132 imported,
    # 8, 9, 12, 40 spam, 256 synthetic
    "qualtrics": Software(
        "Qualtrics: a survey's CSV, below three rows of names (layout wide=Q_{stimulus} makes trials of questions)",
        ("StartDate", "EndDate", "ResponseId"),
        {"participant": ("ResponseId",)},
        answers={
            "Status": "(?!.*(Preview|Test|Spam|Import|Synthetic))(?!(1|2|4|8|9|12|17|36|40|132|256)$).*",
        },
        labels=2,
    ),
    # the text log as the vignettes of rprime (CRAN) describe it: *** Header Start ***, then frames between
    # *** LogFrame Start *** and *** LogFrame End *** below `Level: N`
    "eprime": Software(
        "E-Prime: the text log of a session, or E-DataAid's export as text",
        ("ExperimentName", "Subject", "Session"),
        {"participant": ("Subject",), "session": ("Session",), "answer": ("*.RESP",), "rt": ("*.RT",)},
        begins=r"\*\*\* Header Start",
        records=_eprime_records,
    ),
    # the logs beside bids_events (InstitutoDOr on GitHub), and as it reads them: Scenario, Logfile written, then the
    # table of events in tenths of a millisecond
    "presentation": Software(
        "Presentation: the log of a session, each picture with the first response to it",
        columns={
            "participant": ("Subject",),
            "stimulus": ("Code",),
            "answer": ("Response",),
            "rt": ("RT",),
            "trial": ("Trial",),
        },
        begins="Scenario",
        records=_presentation_records,
    ),
}
