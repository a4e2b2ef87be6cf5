"""A results/ of the test's own."""

import pytest
from upkeep import publish

from jointens.reports import published


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A results/ in which one tiny setting is to be published."""
    setting = published.Setting("tiny", "scores")
    profile = tmp_path / "profiles" / "tiny.yml"
    profile.parent.mkdir()
    profile.write_text(
        "# A sweep for tests. It takes no time.\n"
        "train_size: 64\nhidden: [8]\nnum_learners: 2\nnum_epochs: 2\nseeds: [0, 1]\nbeta_vals: [0, 0.5, 1]\n"
    )
    for module in (published, publish):
        monkeypatch.setattr(module, "profiles_root", lambda: profile.parent)
        monkeypatch.setattr(module, "published_root", lambda: tmp_path / "results")
    monkeypatch.setattr(published, "SMALL", ())
    monkeypatch.setattr(published, "IMAGENET", ())
    monkeypatch.setattr(published, "PANELS", ("tiny",))
    monkeypatch.setattr(published, "PANEL_AVERAGES", ("scores",))
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "README.md").write_text(f"before\n{publish.TABLE[0]}\n{publish.TABLE[1]}\nafter\n")
    return setting
