"""What guards files and folders: names and paths, writing whole or not at all, locks, and limits on what is read."""

import errno
import json
import os
import platform
import re
import secrets
import time
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import yaml

if TYPE_CHECKING:
    import pandas as pd

_LONGEST_NAME = 150  # bytes: room for endings and temporary names within the 255 of a file system
_IN_NO_NAME = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f\ud800-\udfff]')  # on some system or other
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in "123456789")}
_FORMULA = re.compile(r"[=@\t\r]|[+-].*[(|!]", re.DOTALL)  # what a spreadsheet runs when it opens a table
_MOST_NAMED = 20
_PLAIN = "Use letters, digits, hyphens, underscores and dots"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)
_DRAFT = re.compile(r"\.rsa_face-[0-9a-f]{16}-.+")  # no name that anything else gives: such files are removed
_HOUR = 3600.0  # longer than a file is written to without a pause; reports and figures may be at work here
_PATIENCE = 0.5  # seconds: whoever only looks whether a place is held, holds it for a moment
_GLANCE = 0.05  # the same, for one who only looks
_OFTEN = 0.005
MOST_BYTES = 2**30  # what any file may unpack to; larger ones, a hundred times its own size
MOST_TIMES = 100
SAVE_AS_CSV = "In a spreadsheet, save it as CSV UTF-8."
MOST_SAID = 200
MOST_YAML_BYTES = 2**20
MOST_YAML_VALUES = 100_000
_YAML = "tag:yaml.org,2002:"
_YAML_HELP = {
    "\\t": "Indent with spaces, not tabs.",
    "escape": "Write paths with /, or between single quotes.",
}


# -- names and the paths made of them --------------------------------------------------------------------------------


def must_be_a(given: object, kinds: type | tuple[type, ...], wanted: str) -> None:
    """Refuse an argument of another kind, such as one given in another's place."""
    if not isinstance(given, kinds):
        message = f"{wanted}, and a {type(given).__name__} was given."
        raise TypeError(message)


def seen_as(name: str) -> str:
    """Return a name as an eye takes it: without case, kinds of spaces and Unicode forms."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def warn_alike(names: Sequence[str], what: str, source: str) -> None:
    """Warn of names that are different and look the same: one person or stimulus may have become two."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(seen_as(name), []).append(name)
    twins = [ascii(name) for group in alike.values() if len(set(group)) > 1 for name in dict.fromkeys(group)]
    if twins:
        message = (
            f"{source} has a {what} for each of {', '.join(twins[:_MOST_NAMED])}, which differ in case, spaces or "
            f"Unicode form alone. If they are one {what}, write the name in one way."
        )
        warnings.warn(message, stacklevel=3)


def path_in(folder: str | Path, name: str, what: str, *, suffix: str = "", nested: bool = False) -> Path:
    """Return the path of what is called by a name that somebody gave, inside its folder.

    The one way from a name (of a network, layer, label, participant, stimulus, study, figure or member of a data set)
    to a path that is written to or removed. `nested` is for names of several parts: ``alexnet/imagenet/0``.
    """
    path = Path(folder).joinpath(*check_name(name, what, nested=nested).split("/"))
    path = path.with_name(path.name + suffix)
    must_stay_inside(path, Path(folder))
    return path


def check_name(name: str, what: str, *, nested: bool = False) -> str:
    """Return a name in Unicode's composed form, or refuse one by which no file or folder can be called."""
    fault = fault_of_name(name, nested=nested)
    if fault:
        message = f"{what} {fault}"
        raise ValueError(message)
    return unicodedata.normalize("NFC", name)


def fault_of_name(name: object, *, nested: bool = False) -> str:
    """Say why no file or folder can be called by a name; empty if one can, on every file system.

    Other Unicode forms count as what they stand for: a full-width solidus is a slash.

    Examples
    --------
    >>> fault_of_name("id01_level-0.5")
    ''
    >>> fault_of_name("../x")
    "'../x' cannot name a file or folder: it has '/'. Use letters, digits, hyphens, underscores and dots."
    """
    parts = name.split("/") if nested and isinstance(name, str) else [name]
    reason = next(filter(None, map(_fault_of_part, parts)), "")
    shown = repr(name if len(str(name)) <= 60 else f"{str(name)[:60]}...")
    between = "; a slash may stand between parts" if nested else ""
    return f"{shown} cannot name a file or folder: it {reason}. {_PLAIN}{between}." if reason else ""


def _fault_of_part(name: object) -> str:
    if not isinstance(name, str):
        return f"is no text but {type(name).__name__}"
    plain = unicodedata.normalize("NFKC", name)
    strange = _IN_NO_NAME.search(plain)
    reasons = {
        "is empty": not plain.strip() or not name,
        f"has {strange[0] if strange else ''!r}": strange is not None,
        "begins with a dot or a space": plain.startswith((".", " ")) or plain != plain.lstrip(),
        "ends with a dot or a space": plain.endswith((".", " ")) or plain != plain.rstrip(),
        "is what Windows calls a device": plain.split(".")[0].rstrip().casefold() in _DEVICES,
        f"is longer than {_LONGEST_NAME} bytes": len(plain.encode("utf-8", "replace")) > _LONGEST_NAME
        or len(name.encode("utf-8", "replace")) > _LONGEST_NAME,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def same_file(name: str) -> str:
    """Return what two names have in common that would be one file on some file system: case and Unicode form."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def one_part(name: str) -> str:
    """Return a name of several parts as one: ``alexnet/imagenet/0`` as ``alexnet-imagenet-0``."""
    return name.replace("/", "-")


def must_be_file_names(names: Iterable[str], what: str, source: str) -> None:
    """Refuse names of which files cannot be called, or of which two would be one file; all of them at once."""
    given = list(dict.fromkeys(names))
    faults = sorted(filter(None, map(fault_of_name, given)))
    if faults:
        more = f" and {len(faults) - _MOST_NAMED} more" if len(faults) > _MOST_NAMED else ""
        named = " ".join(faults[:_MOST_NAMED]).replace(f" {_PLAIN}.", "")
        message = f"{source} has a {what} that no file can be called by: {named}{more} {_PLAIN}."
        raise ValueError(message)
    alike: dict[str, list[str]] = {}
    for name in given:
        alike.setdefault(same_file(name), []).append(name)
    twins = sorted(name for group in alike.values() if len(group) > 1 for name in group)
    if twins:
        shown = ", ".join(map(repr, twins[:_MOST_NAMED]))
        message = (
            f"{source} has {shown}: one file, where case and Unicode form do not count. Rename each {what} so "
            "that they differ in more."
        )
        raise ValueError(message)


def must_be_plain_names(names: Iterable[object], what: str, source: str) -> None:
    """Refuse names that would not come back from our files as they are.

    A spreadsheet runs some as formulas when it opens a table; quoted there they would no longer be the names. Arrays
    of texts lose a NUL at the end, so that two names may become one.
    """
    unsafe = sorted({name for name in names if isinstance(name, str) and (_FORMULA.match(name) or "\0" in name)})
    if unsafe:
        shown = ", ".join(repr(name[:60]) for name in unsafe[:20])
        message = (
            f"{source} has {shown}: a {what} that begins like a spreadsheet's formula (=, @) or holds a NUL (\\0). "
            "Rename it."
        )
        raise ValueError(message)


def must_stay_inside(path: Path, folder: Path) -> None:
    """Refuse to write through a symbolic link, or by a name, that leads out of the folder.

    The folder may itself be a link.
    """
    inside = folder.resolve()
    parent = path.parent.resolve()
    if not parent.is_relative_to(inside):
        message = (
            f"{str(path.parent)!r} leads out of its folder, from {str(inside)!r} to {str(parent)!r}: nothing is "
            "written or removed there. Remove that link."
        )
        raise ValueError(message)


# -- writing ---------------------------------------------------------------------------------------------------------


def write_table(table: "pd.DataFrame", path: str | Path) -> None:
    """Write a table of results as CSV, six digits of each number, whole or not at all."""
    with write_beside(path) as beside:
        table.to_csv(beside, index=False, float_format="%.6g")


def size_of(folder: str | Path) -> int:
    """Return how many bytes lie in a folder and below it, though files come and go while they are counted."""
    size = 0
    for directory, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                size += Path(directory, name).stat().st_size
    return size


@contextmanager
def write_beside(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside a file, and move it into place when the block ends well.

    Killed at any moment, the file is the old one or the new one. If the block raises, the temporary file is
    removed and the old one stays.
    """
    path = Path(path)
    beside = path.with_name(f".rsa_face-{secrets.token_hex(8)}-{path.stem[:40]}{path.suffix}")
    with naming_what_is_written(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            with beside.open("rb") as file:
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def remove_drafts(folder: str | Path) -> None:
    """Remove what processes that were killed left half written, an hour after it was last written to.

    A draft of weights may take as much room as the weights, and nothing else would ever remove it.
    """
    before = time.time() - _HOUR
    for directory, _, names in os.walk(folder):
        for draft in (Path(directory, name) for name in names if _DRAFT.fullmatch(name)):
            with suppress(FileNotFoundError):
                if draft.stat().st_mtime < before:
                    draft.unlink()


@contextmanager
def naming_what_is_written(path: str | Path) -> Iterator[None]:
    """Say what could not be written, and what to do, where a disk is full or a folder forbidden.

    The system's own error says neither: of a full disk it has no name, of a forbidden folder that of a draft.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        if error.strerror != reason:  # said already, of a part of this
            raise
        if error.errno in FULL:
            message = f"No room to write {str(path)!r} ({reason}). Free some, and run it again."
            raise OSError(error.errno, message) from error
        if error.errno in _FORBIDDEN:
            message = f"Cannot write to {str(path)!r}: {reason}. Make its folder writable."
            raise OSError(error.errno, message) from error
        raise


def writable_folder(out_dir: str | Path) -> Path:
    """Make a folder and hold it to being writable, before any work is done for it."""
    folder = Path(out_dir)
    try:
        trial = folder / f".rsa_face-{secrets.token_hex(8)}"  # a name that nothing else has: it is removed
        with write_beside(trial) as beside:
            beside.write_text("", "utf-8")
        trial.unlink()
    except OSError as error:
        message = f"Cannot write to the output folder {str(folder)!r}: {error}. Choose another folder."
        raise ValueError(message) from error
    return folder


# -- locks -----------------------------------------------------------------------------------------------------------


@contextmanager
def hold(place: Path, lock: Path, *, rule: str) -> Iterator[None]:
    """Keep other processes from writing to a place; if this one is killed, the hold ends with it.

    On a file system without locks, a file marks the place instead. That of a process killed on this machine holds
    nothing; that of one on another machine must be removed by hand, which the refusal says.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = _acquired(lock, _PATIENCE)
    except filelock.Timeout as error:
        mark = _mark_of(lock)
        ended = f" If it was killed, remove {str(mark)!r}." if mark.exists() else ""
        message = (
            f"{_said_in(lock)} is writing to {str(place)!r}. {rule}. Wait for it, or choose another folder.{ended}"
        )
        raise ValueError(message) from error
    except OSError as error:
        message = f"Cannot write to {str(lock.parent)!r}: {error}. Make the folder writable."
        raise ValueError(message) from error
    try:
        with suppress(OSError):  # on a full disk the hold is as good, only its holder has no name
            since = datetime.now().astimezone().isoformat(" ", "seconds")
            lock.write_text(f"process {os.getpid()} on {platform.node()} (since {since})", "utf-8")
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        held.release()


def holder_of(lock: Path) -> str:
    """Say which process holds a place."""
    if not lock.is_file():
        return ""
    try:
        _acquired(lock, _GLANCE).release()
        return ""
    except filelock.Timeout:
        return _said_in(lock)
    except OSError:  # of a folder that others may write to: what is held there is not for this process to know
        return ""


def _acquired(lock: Path, patience: float) -> filelock.BaseFileLock:
    held: filelock.BaseFileLock = filelock.FileLock(lock, timeout=patience)
    try:
        held.acquire(poll_interval=_OFTEN)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        held = filelock.SoftFileLock(_mark_of(lock), timeout=patience)
        held.acquire(poll_interval=_OFTEN)
    return held


def _mark_of(lock: Path) -> Path:
    return lock.with_name(f"{lock.name}.mark")


def lock_in(folder: Path) -> Path:
    """Return the file by which a study's output folder is held."""
    return folder / ".lock"


def _said_in(lock: Path) -> str:
    try:
        return lock.read_text("utf-8", errors="replace").strip()[:200] or "another process"
    except OSError:
        return "another process"


# -- reading what anybody wrote --------------------------------------------------------------------------------------


@contextmanager
def reading(path: Path, rule: str, *, then: str) -> Iterator[None]:
    """Turn whatever a library raises over a file into a sentence that names the file and the rule it breaks.

    Libraries that read damaged files raise almost anything: a parser's SyntaxError, a KeyError, a struct.error. Only
    the library's own call belongs in the block, so that our own errors pass unchanged.
    """
    try:
        yield
    except Exception as error:
        message = f"{str(path)!r} cannot be read: {in_short(error)}. {rule}. {then}"
        raise ValueError(message) from error


def read_table(
    path: str | Path, what: str, *, dtype: "Mapping[str, type] | None" = None, then: str = SAVE_AS_CSV
) -> "pd.DataFrame":
    """Read a table; one that is missing, or no CSV or TSV file, is refused by name."""
    import pandas as pd

    path = Path(path)
    if not path.is_file():
        message = f"No such file: {str(path)!r}. Check the path of the {what}."
        raise FileNotFoundError(message)
    separator = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    with reading(path, f"The {what} is a CSV or TSV file in UTF-8", then=then):
        return pd.read_csv(path, sep=separator, dtype=dtype, encoding="utf-8-sig", compression=None)


def first_of(items: Iterable[object], between: str = "", *, most: int = 20) -> str:
    """Return the first of some items, as a list or with a word between them, and how many more there are.

    Examples
    --------
    >>> first_of("abc", most=2), first_of("abc", "; "), first_of("abc", "; ", most=2)
    ("['a', 'b'] and 1 more", 'a; b; c', 'a; b; and 1 more')
    """
    items = list(items)
    shown = between.join(map(str, items[:most])) if between else str(items[:most])
    return shown + (f"{between.rstrip(' ,')} and {len(items) - most:,} more" if len(items) > most else "")


def in_short(error: BaseException) -> str:
    """Return a library's exception in a line; its kind, where it says nothing or only a name.

    Examples
    --------
    >>> in_short(KeyError("x"))
    "KeyError 'x'"
    """
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is not of a text in UTF-8"
    if type(error).__name__ == "EmptyDataError":  # pandas' "No columns to parse from file"
        return "it is empty"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0].rstrip(".")[:MOST_SAID] if lines else ""
    return first if " " in first else f"{type(error).__name__} {first}".strip()


def must_not_swell(size: float, path: Path, *, on_disk: int | None = None) -> None:
    """Refuse a file that asks for more than 1 GiB of memory and a hundred times what lies on the disk."""
    stored = path.stat().st_size if on_disk is None else on_disk
    if size > max(MOST_BYTES, MOST_TIMES * stored):
        message = (
            f"{str(path)!r} ({stored:,} bytes) asks for {size / 2**30:,.3g} GiB of memory, more than "
            f"{MOST_BYTES / 2**30:g} GiB and {MOST_TIMES} times its size. Do not use it, or write it again."
        )
        raise ValueError(message)


def read_json(path: Path, rule: str, *, then: str) -> Any:
    """Read a JSON file that may be anything; a mark of its encoding (BOM) is passed over."""
    with reading(path, rule, then=then):
        return json.loads(path.read_text("utf-8-sig"))


def read_yaml(path: Path, what: str) -> tuple[yaml.Node | None, Any]:
    """Read a YAML file of plain values; return its tree, which knows its lines, and its values.

    Refused are tags that make objects, aliases that multiply or lead to themselves, and a key given twice, of which
    YAML's readers take the last and say nothing.
    """
    size = path.stat().st_size
    if size > MOST_YAML_BYTES:
        message = f"{path.name} has {size:,} bytes. {what} has at most 1 MiB: is it the right file?"
        raise ValueError(message)
    try:
        text = path.read_text("utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        count = 0 if tree is None else _values_in(tree, {})
        twice = _first_repeated(tree, set())
        if count > MOST_YAML_VALUES:
            message = f"its aliases make {count:,} values, more than {MOST_YAML_VALUES:,}"
            raise ValueError(message)
        values = plain_value(text)
    except Exception as error:
        message = f"{path.name} cannot be read as YAML in UTF-8: {_yaml_fault(error)}"
        raise ValueError(message) from error
    if twice:
        message = f"{path.name} gives the key {twice} more than once. Remove one."
        raise ValueError(message)
    return tree, values


class _PlainLoader(yaml.SafeLoader):
    """Reads yes, no, on and off as words and 1e2 as a number, as YAML 1.2 does and people expect."""


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (f"{_YAML}bool", f"{_YAML}float")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_PlainLoader.add_implicit_resolver(f"{_YAML}bool", re.compile(r"^(?:true|false)$", re.IGNORECASE), list("tTfF"))
_PlainLoader.add_implicit_resolver(
    f"{_YAML}float",
    re.compile(r"^(?:[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:e[-+]?\d+)?|[-+]?\.inf|\.nan)$", re.IGNORECASE),
    list("-+0123456789."),
)


def plain_value(text: str) -> Any:
    """Return what a text in YAML stands for, of plain values alone.

    Examples
    --------
    >>> plain_value("[yes, true, 1e2, 07]")
    ['yes', True, 100.0, 7]
    """
    return yaml.load(text, Loader=_PlainLoader)  # a SafeLoader


def _yaml_fault(error: BaseException) -> str:
    """Return what is wrong with a YAML file, where, and what helps against it."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"{in_short(error)}. Is it the right file?"
    mark, problem = error.problem_mark, " ".join(str(error.problem).split())[:MOST_SAID]
    then = next((help_ for sign, help_ in _YAML_HELP.items() if sign in problem), "Fix this line or those before it.")
    context = f" {error.context}" if error.context else ""
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}{context}. {then}"


def _inside(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _values_in(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node holds, aliases written out; raise where it holds itself."""
    if known.get(id(node), 0) < 0:
        message = f"the value on line {node.start_mark.line + 1} holds itself"
        raise ValueError(message)
    if id(node) not in known:
        known[id(node)] = -1
        known[id(node)] = 1 + sum(_values_in(part, known) for part in _inside(node))
    return known[id(node)]


def _first_repeated(node: yaml.Node | None, seen: set[int]) -> str:
    """Return the first key that one mapping gives twice, and on which lines; empty where none does."""
    if node is None or id(node) in seen:
        return ""
    seen.add(id(node))
    lines: dict[str, int] = {}
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        line = key.start_mark.line + 1
        if isinstance(key, yaml.ScalarNode) and key.value in lines:
            return f"{key.value!r} (lines {lines[key.value]} and {line})"
        lines[str(key.value)] = line
    return next(filter(None, (_first_repeated(part, seen) for part in _inside(node))), "")
