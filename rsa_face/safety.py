"""What may be written and removed: paths made of names that somebody gave, which stay inside their folder."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

_LONGEST_NAME = 150  # bytes: room for endings and temporary names within the 255 of a file system
_IN_NO_NAME = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f\ud800-\udfff]')  # on some system or other
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in "123456789")}
_FORMULA = re.compile(r"[=@\t\r]|[+-].*[(|!]", re.DOTALL)  # what a spreadsheet runs when it opens a table
_MOST_NAMED = 20
_PLAIN = "Use letters, digits, hyphens, underscores and dots"


def path_in(folder: str | Path, name: str, what: str, *, suffix: str = "", nested: bool = False) -> Path:
    """Return the path of what is called by a name that somebody gave, inside its folder.

    The one way from a name (of a network, layer, label, participant, stimulus, study, figure or member of a data set)
    to a path that is written to or removed. `nested` is for names of several parts: ``alexnet/imagenet/0``.
    """
    whole = check_name(name, what, nested=nested)
    path = Path(folder).joinpath(*whole.split("/"))
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
    found = sorted({name for name in names if isinstance(name, str) and (_FORMULA.match(name) or "\0" in name)})
    if found:
        shown = ", ".join(repr(name[:60]) for name in found[:20])
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
