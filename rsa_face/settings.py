"""The base of all settings models, the values that several share, and the words for what is wrong with one."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

# By pydantic's names of faults; what stands in braces is the limit or the choices.
_EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "keys and values, such as {{key: value}}",
    "dataclass_type": "keys and values, such as {{key: value}}",
    "float_parsing": "a number (with a point, not a comma)",
    "float_type": "a number (with a point, not a comma)",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_type": "a whole number",
    "less_than": "less than {lt:g}",
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
_UNKNOWN = "extra_forbidden"


class Settings(BaseModel):
    """Settings that refuse what they do not know and never change; a function and a study file take the same model.

    Where pydantic would raise its own error, a ValueError names every setting at fault and its value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            message = f"{type(self).__name__}: {'; '.join(self._faults(error))}."
            raise ValueError(message) from error

    # Settings inside other settings are then validated by pydantic itself, which keeps the place of each fault.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @model_validator(mode="before")
    @classmethod
    def _without_numpy(cls, values: Any) -> Any:
        """Turn numpy's numbers into Python's, which pydantic would refuse where whole numbers are due."""
        if not isinstance(values, dict):
            return values
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}

    @classmethod
    def of(cls, given: Self | Mapping[str, Any] | None) -> Self:
        """Return settings that were given as such, as a mapping, or not at all."""
        return given if isinstance(given, cls) else cls(**dict(given or {}))

    def changed(self, **values: Any) -> Self:
        """Return a copy with other values, checked as new settings are."""
        return type(self)(**{**dict(self), **values})

    def record(self) -> dict[str, Any]:
        """Return the settings as plain values for manifests, attrs and checkpoints; tuples stay tuples."""
        return self.model_dump()

    def _faults(self, error: ValidationError) -> list[str]:
        faults: dict[str, list[Any]] = {}
        for fault in error.errors():
            faults.setdefault(_place(fault), []).append(fault)
        for place in [place for place in faults if any(other.startswith(f"{place}.") for other in faults)]:
            del faults[place]  # of a form that was not meant: what is wrong stands further inside
        sentences = [f"{place} {in_words(those)}".strip() for place, those in faults.items()]
        if any(fault["type"] == _UNKNOWN and len(fault["loc"]) == 1 for those in faults.values() for fault in those):
            sentences[-1] += f" (the settings are {', '.join(type(self).model_fields)})"
        return sentences


def _place(fault: Any) -> str:
    """Return the setting at fault, without pydantic's names for the forms that a value may have."""
    if fault["type"] == _UNKNOWN:  # whatever the key, it stands in the file
        return ".".join([*filter(_is_key, fault["loc"][:-1]), str(fault["loc"][-1])])
    return ".".join(filter(_is_key, fault["loc"]))


def _is_key(part: int | str) -> bool:
    return isinstance(part, str) and part.islower() and part.isidentifier()


def in_words(faults: Iterable[Any]) -> str:
    """Return what is wrong in one place, from pydantic's faults about it, as a clause without a full stop.

    Examples
    --------
    >>> in_words([{"type": "int_parsing", "input": "many"}])
    "is 'many', not a whole number"
    """
    expected, others, value = [], [], None
    for fault in faults:
        value = fault["input"]
        if fault["type"] in _EXPECTED:
            expected.append(_EXPECTED[fault["type"]].format(**fault.get("ctx", {})))
        else:
            others.append(_in_its_own(fault))
    if others:  # of the form that is meant; what other forms would need is beside the point
        return "; ".join(dict.fromkeys(others))
    return f"is {_shown(value)}, not {' or '.join(dict.fromkeys(expected))}"


def _in_its_own(fault: Any) -> str:
    if fault["type"] == _UNKNOWN:
        return "is not a key here"
    if fault["type"] == "missing":
        last = fault["loc"][-1]
        return f"is missing: give {last + 1} values or more" if isinstance(last, int) else "is missing"
    message, given = str(fault["msg"]).removeprefix("Value error, "), fault["input"]
    says_value = str(given) in message or not isinstance(given, str | int | float)
    return message if says_value else f"{message} (it is {given!r})"


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    shown = repr(value)
    return shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]} ..."


def matching(pattern: str, expected: str) -> AfterValidator:
    """Return a validator of text that follows a pattern, which is `expected` in words."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            message = f"is {value!r}, not {expected}"
            raise ValueError(message)
        return value

    return AfterValidator(check)


def _bounds(value: Any) -> Any:
    numbers = list(value) if isinstance(value, list | tuple) else [value]
    right = len(numbers) in (1, 2) and all(isinstance(number, int | float) and number >= 0 for number in numbers)
    if not right or numbers != sorted(numbers):
        message = f"is {value!r}, not a number of 0 or more or two rising ones"
        raise ValueError(message)
    return tuple(numbers) if len(numbers) == 2 else numbers[0]


Seed = Annotated[int, Field(ge=0)]
Device = Annotated[str, matching(r"auto|cpu|cuda(:\d+)?", "auto, cpu or cuda")]
TrainingDevice = Annotated[str, matching(r"auto|cpu|cuda(:\d+)?|mps", "auto, cpu, cuda or mps")]
Bounds = Annotated[float | tuple[float, float], BeforeValidator(_bounds)]
