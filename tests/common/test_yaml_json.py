"""YAML 1.2 and JSON: what is read, one-line errors, and the bytes that are written."""

import re

import pytest
from checkout import ROOT

from jointens import InputError
from jointens.common.yaml_json import dump_yaml, read_json_object, read_yaml, read_yaml_file, read_yaml_texts


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10),
        ("-010", -10),
        ("08", 8),
        ("0o10", 8),
        ("0x10", 16),
        ("1_000", 1000),
        ("1:30", "1:30"),
        ("5e-4", 5e-4),
        ("1e-07", 1e-7),
        ("1.0e-07", 1e-7),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("~", None),
        ("", None),
        ("\ufeffa: 1", {"a": 1}),
    ],
)
def test_yaml_is_read_as_version_1_2(text, value):
    assert read_yaml(text) == value and type(read_yaml(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 'line 3: a second value for the key "a"'),
        ("{a: 1, a: 2}", 'line 1: a second value for the key "a"'),
        ("a: [\n", "line 2: expected the node content"),
        ("a: 1\n b: 2\n", "line 2: mapping values are not allowed here"),
        ("a: 1\n---\nb: 2\n", "line 2: "),
        ("a: !!python/object:os.system x", "line 1: could not determine a constructor"),
        ("\x00", "unacceptable character"),
        ("2020-13-45", "a value cannot be read"),
        ("!!bool x", "a value cannot be read"),
        ("[[]]: 1", "a value cannot be read"),
        ("1" * 5000, "a value cannot be read"),
        ("[" * 5000, "a value cannot be read"),
    ],
)
def test_what_is_not_yaml_is_one_line_with_its_number(text, message):
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read_yaml(text)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    file = tmp_path / "a.yml"
    with pytest.raises(InputError, match=re.escape(f"cannot read the list {file}: No such file")):
        read_yaml_file(file, what="the list")
    file.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InputError, match=re.escape(f"cannot read {file}: it is not YAML (no text in UTF-8)")):
        read_yaml_file(file)
    file.write_text("a: 1\na: 2\n")
    with pytest.raises(InputError, match=re.escape(f"cannot read {file}: it is not YAML (line 2: a second value")):
        read_yaml_file(file)


def test_every_scalar_may_be_read_as_the_text_that_stands_there():
    assert read_yaml_texts("a: 12e4\nb: [010, no]\nc: '08'") == {"a": "12e4", "b": ["010", "no"], "c": "08"}


def test_what_is_written_is_what_yaml_1_1_and_1_2_both_read():
    values = {
        "z": 1e-7, "a": [0.0, -0.0, 1.5, 1e300], "none": None, "true": True, "list": [],
        "nested": {"b": 1, "a": [[1], {}]},
        "texts": ["yes", "1:30", "010", "08", "1e5", "null", "1_000", "2020-01-01", "",
                  "café", "a: b", "=", "-", "plain"],
    }  # fmt: skip
    text = dump_yaml(values)
    assert read_yaml(text) == values and list(read_yaml(text)) == list(values)
    assert text.startswith("z: 1.0e-07\na:\n- 0.0\n- -0.0\n- 1.5\n- 1.0e+300\nnone: null\n") and text.isascii()
    for quoted in ("yes", "1:30", "010", "08", "1e5", "null", "1_000", "2020-01-01"):
        assert f"- '{quoted}'\n" in text
    assert dump_yaml([0.0, 1e-7, "a", None], flow=True) == "[0.0, 1.0e-07, a, null]"
    assert [dump_yaml(value, flow=True) for value in (None, 5, "SGD", True, ())] == ["null", "5", "SGD", "true", "[]"]


@pytest.mark.parametrize("file", sorted((ROOT / "results").rglob("*.yml")), ids=lambda file: "-".join(file.parts[-2:]))
def test_files_that_pyyaml_wrote_are_written_with_the_same_bytes(file):
    assert dump_yaml(read_yaml_file(file)) == file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read FILE: No such file or directory"),
        (b"{", "FILE is not JSON: "),
        (b"\xff", "FILE is not JSON: "),
        (b"[1]", "FILE holds a list; allowed is an object of keys and values"),
        (b'{"a": [{"b": 1, "c": 2, "b": 1}]}', "FILE is not JSON: a second value for the key 'b'"),
    ],
)
def test_json_that_is_no_object_is_one_line(tmp_path, content, message):
    file = tmp_path / "a.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(message.replace("FILE", str(file)))) as caught:
        read_json_object(file)
    assert "\n" not in str(caught.value)
