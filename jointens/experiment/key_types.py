"""The types of keys: what is checked of a value beyond its plain type, and how it stands in the JSON schema."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema

from ..common import CSV, IMPORT, InputError, absolute_name
from ..models import TIMM


def _check_printable(text: str, info: ValidationInfo) -> str:
    if not text.isprintable():
        raise InputError(f"{info.field_name} is {text!r}; allowed are printable characters")
    return text


def _whole_if_whole(number: float) -> float:
    """Turn 5.0 into 5: the hash knows whole factors as whole numbers."""
    return int(number) if number == int(number) else number


def _text_of_number(name: Any) -> Any:
    """Turn a number into its text: a column may be named 2019, which YAML and papermill read as a number."""
    return str(name) if type(name) in (int, float) else name


def _check_folder_name(tag: str) -> str:
    if set(tag) & set("/\\") or tag in (".", "..") or len(tag) > 100:
        raise InputError(f"tag is {tag!r}; allowed is a folder's name without a path separator")
    return tag


Positive = Annotated[int, Field(ge=1)]
Place = Annotated[str, AfterValidator(_check_printable)]
Column = Annotated[str, BeforeValidator(_text_of_number), WithJsonSchema({"type": ["string", "number"]})]
Table = Annotated[str, Field(pattern=f"^{CSV}", examples=[f"{CSV}PATH"]), AfterValidator(absolute_name)]
# The pattern stands next to the plain type: behind a validator it is checked, but left out of the JSON schema.
OwnFunction = Annotated[
    str, Field(pattern=f"^{IMPORT}", examples=[f"{IMPORT}MODULE:FUNCTION"]), AfterValidator(_check_printable),
    AfterValidator(absolute_name),
]  # fmt: skip
Scale = Annotated[float, AfterValidator(_whole_if_whole)]
FolderName = Annotated[Place, AfterValidator(_check_folder_name)]
TimmModel = Annotated[str, Field(pattern=f"^{TIMM}", examples=[f"{TIMM}NAME"])]
