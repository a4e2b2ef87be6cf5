"""Read and check values as users write them: texts as YAML, one-line errors.

A notebook, papermill and the command line hand over texts, lists, numpy numbers and paths. They are brought into the
types that pydantic then checks strictly: true is not the number 1, and "3" within a list is not 3.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import typing
from collections.abc import Iterable, Mapping
from numbers import Number
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from ..common import LARGEST, InputError, read_yaml, unknown_name

NOTHING = ("none", "null", "~", "")  # words for None, in any case
BOOLEANS = {"yes": True, "on": True, "no": False, "off": False}  # words of YAML 1.1, in any case
ALLOWED = {  # by pydantic's name of the error
    "int_type": "a whole number",
    "float_type": "a finite number",
    "bool_type": "true or false",
    "string_type": "a text (in quotes if it looks like a number)",
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
}
Class = TypeVar("Class", bound=type)


def read_value(value: Any, annotation: Any) -> Any:
    """Bring a value as a user writes it into the type of its key, as far as that is clear; checks only the size.

    Args:
        value: a text that is read as YAML, unless the key is a text; or a number of Python or numpy, a path, a list.
        annotation: the key's type: int, float, bool, str, a Literal, a tuple of one of them, or a union of these.

    Returns:
        The value for pydantic to check; a single value is a tuple of one if the key takes nothing else.

    Raises:
        ValueError: a number is beyond ±LARGEST, or not finite.
    """
    kinds = _kinds(annotation)
    if type(None) in kinds and (value is None or str(value).lower() in NOTHING):
        return None
    if isinstance(value, str) and str not in kinds:
        with contextlib.suppress(InputError):  # pydantic then refuses the text, as it does a blank one
            parsed = read_yaml(value)
            value = value if parsed is None else parsed
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if tuple not in kinds:
        return _read_scalar(value, kinds)
    if isinstance(value, Iterable) and getattr(value, "ndim", 1) and not isinstance(value, (str, bytes, Mapping)):
        return tuple(_read_scalar(entry, kinds) for entry in value)
    value = _read_scalar(value, kinds)
    return value if int in _kinds(annotation, entries=False) else (value,)


def _kinds(annotation: Any, *, entries: bool = True) -> set[type]:
    """List the plain types in an annotation, with those of a tuple's entries."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is None:
        return {annotation}
    if origin is Literal:
        return set(map(type, arguments))
    if origin is Annotated:
        return _kinds(arguments[0], entries=entries)
    if origin is tuple:
        return {tuple, *(_kinds(arguments[0]) if entries else ())}
    return set().union(*(_kinds(argument, entries=entries) for argument in arguments))


def _read_scalar(value: Any, kinds: set[type]) -> Any:
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()  # numpy's numbers
    if bool in kinds and isinstance(value, str):
        return BOOLEANS.get(value.lower(), value)
    if isinstance(value, bool) or not kinds & {int, float}:
        return value
    number = value
    if float in kinds and isinstance(value, (int, str)):
        with contextlib.suppress(ValueError, OverflowError):
            number = float(value)
    if isinstance(number, Number) and not (isinstance(number, (int, float)) and abs(number) <= LARGEST):  # or NaN
        raise ValueError(f"{'a finite' if float in kinds else 'a whole'} number up to {LARGEST:g}")
    return number


def known_values(annotation: Any) -> tuple[str, ...]:
    """List the names that a key takes: those of its Literal, and an example of its pattern, such as csv:PATH."""
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is Literal:
        return arguments
    if typing.get_origin(annotation) is Annotated:
        fields = [argument for argument in arguments[1:] if isinstance(argument, FieldInfo)]
        return tuple(itertools.chain.from_iterable(field.examples or () for field in fields))
    return tuple(itertools.chain.from_iterable(map(known_values, arguments)))


def check_value(name: str, value: Any, annotation: Any) -> Any:
    """Read and check a single value that is no key of an experiment.

    Args:
        name: of the value, for the message.
        value: as a user writes it.
        annotation: its type, as for `read_value`.

    Raises:
        InputError: the value is not allowed; the message says what is.
    """
    before = BeforeValidator(functools.partial(read_value, annotation=annotation))
    adapter = TypeAdapter(Annotated[annotation, before], config=ConfigDict(strict=True))
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise _input_error(
            [{**part, "loc": (name, *part["loc"])} for part in error.errors()], {name: annotation}
        ) from None


def errors_in_one_line(kind: Class) -> Class:
    """Let a pydantic dataclass of keys raise InputError in place of pydantic's ValidationError."""
    validating = kind.__init__

    @functools.wraps(validating)
    def __init__(self: Any, **keys: Any) -> None:
        try:
            validating(self, **keys)
        except ValidationError as error:
            annotations = {name: field.annotation for name, field in kind.__pydantic_fields__.items()}
            raise _input_error(error.errors(), annotations) from None

    kind.__init__ = __init__
    return kind


def _input_error(errors: list[dict[str, Any]], annotations: Mapping[str, Any]) -> InputError:
    """Make one error of pydantic's: of an unknown key, or else of the first key that is wrong."""
    for error in errors:
        if error["type"] == "unexpected_keyword_argument":
            return unknown_name(error["loc"][0], list(annotations))
    # Of a union there is an error for each member: the one that says most is of the member that was meant.
    error = min((error for error in errors if error["loc"][:1] == errors[0]["loc"][:1]), key=_vagueness)
    if isinstance(raised := error.get("ctx", {}).get("error"), InputError):
        return raised
    name, value = error["loc"][0], error["input"]
    if error["type"] in ("literal_error", "string_pattern_mismatch"):
        rule = "known are" if isinstance(value, str) else "allowed is a text, known are"
        return InputError(f"{name} is {value!r}; {rule} {', '.join(known_values(annotations[name]))}")
    if raised:
        return InputError(f"{name} is {value!r}; allowed is {raised}")
    limits = {key: f"{limit:.15g}" for key, limit in error.get("ctx", {}).items() if isinstance(limit, (int, float))}
    return InputError(f"{name} is {value!r}; allowed is {ALLOWED.get(error['type'], error['msg']).format(**limits)}")


def _vagueness(error: dict[str, Any]) -> int:
    ranks = {"value_error": 0, "tuple_type": 3}
    return ranks.get(error["type"], 2 if error["type"].endswith("_type") else 1)
