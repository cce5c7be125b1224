"""What is wrong with a setting, in words: what must hold, and the value that does not."""

from collections.abc import Iterable
from typing import Any

# By pydantic's names of faults; what stands in braces is the limit or the choices.
_MUST = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dataclass_type": "keys and values, such as {{key: value}}",
    "dict_type": "keys and values, such as {{key: value}}",
    "float_parsing": "a number (with a point, not a comma)",
    "float_type": "a number (with a point, not a comma)",
    "greater_than": "above {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_type": "a whole number",
    "less_than": "below {lt:g}",
    "less_than_equal": "{le:g} or less",
    "literal_error": "{expected}",
    "mapping_type": "keys and values, such as {{key: value}}",
    "model_attributes_type": "keys and values, such as {{key: value}}",
    "model_type": "keys and values, such as {{key: value}}",
    "path_type": "a path",
    "string_type": "text (in quotes, if it looks like a number)",
    "too_long": "a list of at most {max_length}",
    "too_short": "a list of at least {min_length}",
    "tuple_type": "a list, such as [a, b]",
}
_MOST_SHOWN = 100


def in_words(faults: Iterable[Any]) -> str:
    """Return what is wrong in one place.

    Parameters
    ----------
    faults : iterable of ErrorDetails
        Those of pydantic about one value: several, where it may be one thing or another and is neither.

    Returns
    -------
    str
        A clause without a full stop: what must hold, and the value.

    Examples
    --------
    >>> in_words([{"type": "int_parsing", "input": "many"}])
    "must be a whole number, but is 'many'"
    """
    musts, others, value = [], [], None
    for fault in faults:
        value = fault["input"]
        if fault["type"] in _MUST:
            musts.append(_MUST[fault["type"]].format(**fault.get("ctx", {})))
        else:
            others.append(_in_its_own(fault))
    if others:  # of the form that is meant; what other forms must be is beside the point
        return "; ".join(dict.fromkeys(others))
    return f"must be {' or '.join(dict.fromkeys(musts))}, but is {_shown(value)}"


def _in_its_own(fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        return "is not a key here"
    if fault["type"] == "missing":
        last = fault["loc"][-1]
        return f"is missing: give {last + 1} values or more" if isinstance(last, int) else "is missing"
    message, given = str(fault["msg"]).removeprefix("Value error, "), fault["input"]
    told = str(given) in message or not isinstance(given, str | int | float)
    return message if told else f"{message} (it is {given!r})"


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    shown = repr(value)
    return shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]} ..."
