"""A module of the user's own."""

import sys

import pytest
from own_modules import BLOCKS


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Return a function that writes my_module.py into the working directory, the block of CONTRIBUTING.md and more."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])  # as for the console script

    def write(more: str = "", *, replace: tuple[str, str] = ("", "")) -> None:
        (tmp_path / "my_module.py").write_text(BLOCKS["my_module.py"].replace(*replace) + "\n\n" + more)

    write()
    yield write
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]
