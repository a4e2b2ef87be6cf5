"""constraints.txt pins what requirements.txt and the package need, for every Python that is allowed."""

import re
import tomllib

import pytest
from checkout import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYTHONS = ("3.11", "3.12", "3.13")


def applies(requirement: Requirement, python: str) -> bool:
    environment = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    return requirement.marker is None or requirement.marker.evaluate(environment)


def pinned(text: str, python: str) -> dict[str, str]:
    """Package → version, as that Python installs it on Linux."""
    pins = [Requirement(line) for line in text.splitlines() if line and not line.startswith("#")]
    return {
        canonicalize_name(pin.name): re.fullmatch(r"==(.+)", str(pin.specifier))[1]
        for pin in pins
        if applies(pin, python)
    }


def missing(direct: list[str], constraints: str, python: str) -> list[str]:
    """Which of the direct requirements have no pin that fits them."""
    pins = pinned(constraints, python)
    wanted = [requirement for requirement in map(Requirement, direct) if applies(requirement, python)]
    return [
        str(requirement)
        for requirement in wanted
        if (pin := pins.get(canonicalize_name(requirement.name))) is None
        or not requirement.specifier.contains(pin, prereleases=True)
    ]


def direct() -> list[str]:
    lines = [line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [line for line in lines if line] + project["dependencies"]


@pytest.mark.parametrize("python", PYTHONS)
def test_every_direct_dependency_is_pinned(python):
    absent = missing(direct(), (ROOT / "constraints.txt").read_text(), python)
    assert not absent, f"constraints.txt has no pin for {', '.join(absent)} on Python {python}; run `make lock`"


def test_what_the_library_needs_is_required():
    """pyproject.toml says what the library needs; requirements.txt repeats it, in the same ranges."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["dependencies"]) <= set(direct()[: -len(project["dependencies"])])


def test_a_missing_or_unfitting_pin_is_told():
    constraints = (
        "numpy==2.4.6 ; python_full_version < '3.12'\nnumpy==2.5.5 ; python_full_version >= '3.12'\ntorch==2.15.0\n"
    )
    assert missing(["numpy>=2.0", "torch>=2.11"], constraints, "3.11") == []
    assert missing(["numpy>=2.5"], constraints, "3.11") == ["numpy>=2.5"]
    assert missing(["numpy>=2.5"], constraints, "3.13") == []
    assert missing(["playwright>=1.50", "nbval"], constraints, "3.12") == ["playwright>=1.50", "nbval"]
    assert missing(["pywin32; sys_platform == 'win32'"], constraints, "3.12") == []
