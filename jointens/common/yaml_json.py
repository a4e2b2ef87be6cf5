"""Read and write YAML 1.2, read JSON objects; wrong files are errors of one line.

In YAML 1.2 `010` is ten, `1:30`, `yes` and `no` are texts, `5e-4` is a number, and a key given twice is an error.
"""

from __future__ import annotations

import functools
import io
import json
from pathlib import Path
from typing import Any

from .errors import InputError

# ruamel.yaml is imported where it is used: `import jointens` reads no YAML.


def read_yaml(text: str) -> Any:
    """Read a YAML 1.2 document into plain Python values.

    Raises:
        InputError: it is not YAML; the message names the line, and no file.
    """
    return _read(text, "safe")


def read_yaml_texts(text: str) -> Any:
    """Read a YAML document with every number, date and truth value left as the text that is written there.

    Raises:
        InputError: it is not YAML; the message names the line, and no file.
    """
    return _read(text, "base")


def _read(text: str, kind: str) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return YAML(typ=kind, pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context
        if isinstance(error, DuplicateKeyError):
            problem = problem.partition(" with value ")[0].replace("found duplicate key", "a second value for the key")
        raise InputError(f"line {mark.line + 1}: {problem}" if mark else problem) from error
    except YAMLError as error:
        raise InputError(str(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        # The constructors of ruamel.yaml let these through, for the day 45 of a month or a list as a key.
        raise InputError(f"a value cannot be read ({error})") from error


def read_yaml_file(file: Path, *, what: str = "") -> Any:
    """Read a file of one YAML 1.2 document, in UTF-8.

    Args:
        file: where it is.
        what: what the file is to the user, such as "the profile"; stands in messages.

    Raises:
        InputError: it cannot be read, or is not YAML.
    """
    name = f"{what} {file}".lstrip()
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read {name}: it is not YAML (no text in UTF-8)") from error
    try:
        return read_yaml(text)
    except InputError as error:
        raise InputError(f"cannot read {name}: it is not YAML ({error})") from error


def dump_yaml(value: Any, *, flow: bool = False) -> str:
    """Write plain Python values as YAML that 1.2 and 1.1 read alike; the order of keys stays.

    Args:
        value: of mappings, lists, texts, numbers, booleans and None.
        flow: write on one line, as `[1, 2]`, with nothing behind it.
    """
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _representer()
    yaml.default_flow_style, yaml.allow_unicode, yaml.width = flow, False, 10**6 if flow else 80
    yaml.sort_base_mapping_type_on_output = False
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue().removesuffix("...\n").strip() if flow else stream.getvalue()


@functools.cache
def _representer() -> type:
    """Make the class that writes values as PyYAML does, whose files and bytes are there already."""
    from ruamel.yaml.representer import SafeRepresenter
    from ruamel.yaml.resolver import implicit_resolvers

    # What YAML 1.1 takes for another type than a text, such as `yes`, 1:30 and 1_000.
    not_texts = [pattern for versions, _, pattern, _ in implicit_resolvers if (1, 1) in versions]

    class Representer(SafeRepresenter):
        def ignore_aliases(self, data: Any) -> bool:
            return True

        def represent_str(self, data: str) -> Any:
            quoted = len(data) > 1 and any(pattern.match(data) for pattern in not_texts)  # PyYAML quotes no y and n
            return self.represent_scalar("tag:yaml.org,2002:str", data, style="'" if quoted else None)

        def represent_float(self, data: float) -> Any:
            node = super().represent_float(data)
            if "e" in node.value and "." not in node.value:
                node.value = node.value.replace("e", ".0e", 1)  # YAML 1.1 reads 1e-07 as a text
            return node

    Representer.add_representer(str, Representer.represent_str)
    Representer.add_representer(float, Representer.represent_float)
    return Representer


def read_json_object(file: Path) -> dict[str, Any]:
    """Read a JSON file of one object.

    Raises:
        InputError: it cannot be read, is not JSON, gives a key twice, or holds something else.
    """
    try:
        value = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=_each_key_once)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{file} holds a {type(value).__name__}; allowed is an object of keys and values")
    return value


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"a second value for the key {next(n for n in names if names.count(n) > 1)!r}")
    return value
