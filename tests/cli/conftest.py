"""What `python -m jointens show` prints, and the line that it complains with."""

import pytest

from jointens.cli import main


@pytest.fixture
def shown(capsys):
    """What the command prints."""

    def call(*arguments):
        assert main(["show", *map(str, arguments)]) == 0
        told = capsys.readouterr()
        assert told.err == ""
        return told.out

    return call


@pytest.fixture
def refused(capsys):
    """The line that the command complains with."""

    def call(*arguments):
        assert main(["show", *map(str, arguments)]) == 2
        told = capsys.readouterr()
        assert told.out == "" and told.err.startswith("jointens: ") and told.err.count("\n") == 1
        return told.err.removeprefix("jointens: ").rstrip("\n")

    return call
