"""The house stands as it is drawn: the order of the rooms, their faces, their size."""

import ast
import fnmatch
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from checkout import ROOT

LIBRARY = ROOT / "jointens"
FILES = sorted(LIBRARY.rglob("*.py"))


def test_the_import_contracts_hold(tmp_path):
    """The order of the rooms, only faces from outside, no circle; for the files as they are, without a cache."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_every_room_is_in_the_contracts():
    rooms = {folder.name for folder in LIBRARY.iterdir() if (folder / "__init__.py").exists()}
    contracts = (ROOT / "pyproject.toml").read_text()
    assert len(rooms) <= 12 and len(list(LIBRARY.glob("*.py"))) <= 6
    assert all(f'"jointens.{room}",\n' in contracts for room in rooms)
    # reports names its modules: a chapter imports the one that it needs
    assert all(f'protected_modules = ["jointens.{room}.*"]' in contracts for room in rooms - {"reports"})


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(LIBRARY)))
def test_a_file_is_short_and_hides_no_import_of_the_library(file):
    text = file.read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            assert not [inner for inner in node.body if isinstance(inner, ast.ImportFrom) and inner.level], file


def test_no_folder_of_tests_is_passed_over():
    """pytest skips folders by their names, wherever they are."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    folders = {file.parent.name for file in (ROOT / "tests").rglob("test_*.py")}
    skipped = {name for name in folders for pattern in config["norecursedirs"] if fnmatch.fnmatch(name, pattern)}
    assert folders and not skipped


def test_no_file_is_named_after_a_function_that_its_face_exports():
    for face in LIBRARY.glob("*/__init__.py"):
        exported = {
            alias.asname or alias.name
            for node in ast.parse(face.read_text()).body
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }
        assert not exported & {file.stem for file in face.parent.glob("*.py")}, face
