"""results/: cells of the shipped settings, the list of what is there and what is missing, and how cells come there."""

import dataclasses
import json

import pytest
from upkeep import publish

import jointens
from jointens import InputError
from jointens.cli import parse_keys
from jointens.common import paths
from jointens.experiment.folder import RELEASED, Results
from jointens.experiment.record import Cell
from jointens.reports import published, style

FOLDERS = sorted(path.parent for path in paths.published_root().glob("*/experiment.yml"))


def test_every_folder_is_one_of_the_settings():
    assert FOLDERS, "nothing is published"
    assert {folder.name for folder in FOLDERS} <= {str(setting) for setting in published.settings()}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_published_cells_are_whole_small_and_name_no_machine(folder):
    (setting,) = [of for of in published.settings() if str(of) == folder.name]
    results = setting.results  # refuses the folder of another experiment
    records = results.all_records()
    assert records
    for record in records:
        assert len(record.history.val.ensemble) == results.experiment.num_epochs
        assert {"finished", "commit", "device", "versions", "stack_seconds"} <= record.provenance.keys()
        assert "host" not in record.provenance
        assert results.path(record.cell).read_bytes() == results.to_json(record)  # published again, it is the same
    names = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert names <= {".yml", ".json", ".csv"}
    assert max(path.stat().st_size for path in folder.rglob("*")) < 1_000_000


def test_the_table_is_up_to_date():
    text = (paths.published_root() / "README.md").read_text(encoding="utf-8")
    assert f"{publish.TABLE[0]}\n{publish.table()}\n{publish.TABLE[1]}" in text, "python results/publish.py --table"


def test_the_order_is_ends_first_then_the_rest_and_no_cell_twice():
    every = [(batch.setting, cell) for batch in publish.batches() for cell in batch.cells]
    assert len(every) == len(set(every)) == 40 + 3 + 6 * 6 + 15 + 2 * 9 + 2 * 3 + 14 * 6 + 12 * 30 + 7 * 2
    panel = published.Setting("cifar10_resnet18", "scores")
    assert [cell for setting, cell in every if setting == panel][:3] == [Cell(0, 0), Cell(1, 0), Cell(0.2, 0)]
    for setting in published.settings():
        assert {cell for own, cell in every if own == setting} == set(setting.experiment.cells)


@pytest.mark.parametrize("name", published.PANELS)
def test_the_panels_have_the_papers_setting_with_every_average(name):
    for average in published.PANEL_AVERAGES:
        experiment = published.Setting(name, average).experiment
        assert (style.scale_of(experiment), experiment.average) == ("authors", average)
        assert name == experiment.dataset.lower().replace("-", "") + "_" + experiment.base_learner.lower()
    hashes = [setting.experiment.hash for setting in published.settings()]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("name", published.IMAGENET)
def test_the_learners_of_table_1_have_the_authors_setting(name):
    experiment = published.Setting(name, "probabilities").experiment
    assert (style.scale_of(experiment), experiment.beta_vals, experiment.seeds) == ("authors", (0, 1), (0,))
    assert name == f"imagenet_{experiment.base_learner.lower().removesuffix('_in')}"
    assert experiment.input_shape == (3, *2 * (256 if name == "imagenet_mobilevit" else 224,))


def test_publishing_copies_finished_cells_and_updates_the_table(clone, tiny, tmp_path):
    def trained(**keys):
        return jointens.run(tiny(beta_vals=[0, 0.5, 1], **keys), progress=False).folder

    def published_numbers():
        return [(batch.beta_vals, batch.seeds, len(batch.missing)) for batch in publish.batches()]

    assert published_numbers() == [((0, 1), (0,), 2), ((0.5,), (0,), 1), ((0, 0.5, 1), (1,), 3)]
    folder = publish.publish_folder(trained(seeds=[0]))
    assert folder == tmp_path / "results" / "tiny-scores"
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        "beta=0,seed=0.json", "beta=0.5,seed=0.json", "beta=1,seed=0.json", "experiment.yml", "results.csv",
    ]  # fmt: skip
    first = json.loads((folder / "cells" / "beta=0,seed=0.json").read_text())
    trained_here = json.loads((tmp_path / "runs" / clone.experiment.name / "cells" / "beta=0,seed=0.json").read_text())
    assert trained_here["provenance"].pop("host") and first == trained_here
    text = (tmp_path / "results" / "README.md").read_text()
    assert text.startswith("before\n") and text.endswith("after\n")
    assert "| `tiny` | A sweep for tests | 3 | 3 |" in text
    assert "| 3 | tiny-scores | 0, 0.5, 1 | 1 | – | 3 |" in publish.list_of_cells()
    assert '"seeds=[1]"' in publish.list_of_cells()
    before = (folder / "cells" / "beta=0,seed=0.json").stat().st_mtime_ns
    publish.publish_folder(trained(seeds=[0, 1]))
    assert [missing for *_, missing in published_numbers()] == [0, 0, 0]
    assert (folder / "cells" / "beta=0,seed=0.json").stat().st_mtime_ns == before
    assert "python -m jointens run" not in publish.list_of_cells()


def test_whole_are_the_betas_that_every_seed_has(clone, tiny):
    publish.publish_folder(jointens.run(tiny(beta_vals=[0, 1], seeds=[0]), progress=False).folder)
    assert clone.whole.experiment.beta_vals == (0, 0.5, 1) and len(clone.whole.records()) == 2
    publish.publish_folder(jointens.run(tiny(beta_vals=[0, 1], seeds=[1]), progress=False).folder)
    publish.publish_folder(jointens.run(tiny(beta_vals=[0.5], seeds=[1]), progress=False).folder)
    assert len(clone.results.records()) == 5
    assert [record.cell for record in clone.whole.records()] == [Cell(b, s) for s in (0, 1) for b in (0, 1)]


def test_panels_are_those_of_which_something_is_published(clone, tiny):
    assert published.panels() == []
    publish.publish_folder(jointens.run(tiny(), progress=False).folder)
    (panel,) = published.panels()
    assert panel.folder == clone.results.folder and panel.records()


def test_what_is_compared_differs_in_one_key_alone():
    """What one figure or table compares is one setting but for the key that is compared."""

    def differences(one, other):
        found, others = one.experiment.identity(), other.experiment.identity()
        return {key for key, value in found.items() if value != others[key]}

    assert differences(published.ENDS, published.RESNET8) == {"precision"}
    assert published.RESNET8.experiment.seeds[:3] == published.ENDS.experiment.seeds
    assert sorted(of.experiment.learning_rate for of in published.AT_RATES) == [0.01, 0.03, 0.1, 0.3]
    assert [of.experiment.average for of in published.WITH_AVERAGES] == ["scores", "probabilities", "released"]
    for settings, key in ((published.AT_RATES, "learning_rate"), (published.WITH_AVERAGES, "average")):
        assert settings[0] == published.ENDS
        assert all(differences(of, published.ENDS) == {key} for of in settings[1:])


def test_a_folder_is_named_by_the_keys_that_differ():
    """Published folders keep their names: a learning rate stands without its name."""
    rates = [str(setting) for setting in published.AT_RATES]
    assert rates[:3] == [f"cifar10_resnet8_ends-scores{rate}" for rate in ("", "-0.03", "-0.3")]
    setting = published.Setting("digits", "scores").with_keys(num_epochs=3, width=0.5)
    assert str(setting) == "digits-scores-num_epochs=3,width=0.5"
    experiment = setting.experiment
    assert (experiment.num_epochs, experiment.width, experiment.average) == (3, 0.5, "scores")
    assert setting.with_keys(learning_rate=0.01) == published.Setting("digits", "scores", (("learning_rate", 0.01),))


def test_the_map_is_trained_corners_first_and_from_cheap_to_dear():
    """A cell at 8,000 images, 24 epochs and width 1 takes 5.5 core-minutes; none takes more than 20."""
    keys = [dict(setting.keys) for setting in published.MAP]
    minutes = [5.5 * of["train_size"] / 8000 * of["num_epochs"] / 24 * of["width"] ** 2 for of in keys]
    corner = [of["train_size"] != 8000 and of["width"] != 1 and of["num_epochs"] != 24 for of in keys]
    assert corner == sorted(corner, reverse=True) and max(minutes) < 20
    for part in (True, False):
        of_part = [cost for cost, at in zip(minutes, corner, strict=True) if at == part]
        assert len(of_part) > 3 and of_part == sorted(of_part)
    unchanged = published.Setting("cifar10_resnet8_map", "scores").experiment
    assert unchanged.hash == published.ENDS.experiment.hash and unchanged.seeds == published.ENDS.experiment.seeds
    assert len({setting.experiment.hash for setting in published.MAP} - {unchanged.hash}) == 14


def test_photographs_are_settings_whose_seeds_have_both_ends(clone, tiny, monkeypatch):
    assert published.of_photographs() == {}
    publish.publish_folder(jointens.run(tiny(beta_vals=[0, 1], seeds=[0]), progress=False).folder)
    assert published.of_photographs() == {}
    publish.publish_folder(jointens.run(tiny(beta_vals=[0, 1], seeds=[1]), progress=False).folder)
    (found,) = published.of_photographs().items()
    assert found[0] == "tiny-scores" and found[1].experiment.beta_vals == (0, 1)
    assert sorted(found[1].tests()["beta"].unique()) == [0, 1]


def test_rates_and_averages_are_opened_by_their_value():
    rates, averages = published.by_rate(), published.by_average()
    assert rates and list(rates) == sorted(rates)
    assert averages.keys() <= {"scores", "probabilities", "released"}
    for value, results in (rates | averages).items():
        assert value in (results.experiment.learning_rate, results.experiment.average)
        assert all(map(results.is_done, results.experiment.cells))


def test_cells_outside_the_grid_stay_where_they_are(clone, tiny):
    folder = publish.publish_folder(jointens.run(tiny(beta_vals=[0, 0.25], seeds=[0, 7]), progress=False).folder)
    assert [path.name for path in folder.glob("cells/*")] == ["beta=0,seed=0.json"]


def test_what_cannot_be_written_is_one_line(clone, tiny, tmp_path):
    (tmp_path / "results" / "README.md").unlink()
    with pytest.raises(InputError, match=r"cannot write the table to .*README.md"):
        publish.publish_folder(jointens.run(tiny(), progress=False).folder)


def test_the_command_tells_the_folder(clone, tiny, capsys):
    folder = str(jointens.run(tiny(), progress=False).folder)
    assert publish.main([folder]) == 0
    assert capsys.readouterr().out.strip().endswith("tiny-scores")


def test_the_table_alone_is_brought_up_to_date(clone, tiny, tmp_path, capsys):
    file = tmp_path / "results" / "README.md"
    assert publish.main(["--table"]) == 0
    assert capsys.readouterr().out.strip() == str(file)
    assert "| `tiny` | A sweep for tests | – | 6 |" in file.read_text()
    file.unlink()
    assert publish.main(["--table"]) == 2
    told = capsys.readouterr().err
    assert told == f"publish.py: cannot write the table to {file}: No such file or directory\n"


def test_the_list_is_printed_with_the_next_command(clone, capsys):
    assert publish.main(["--list"]) == 0
    printed = capsys.readouterr().out
    assert "| 1 | tiny-scores | 0, 1 | 0 | – | 2 |" in printed
    assert 'profiles/tiny.yml average=scores "beta_vals=[0.0,1.0]" "seeds=[0]"' in printed


def test_the_commands_of_the_list_train_what_they_say():
    for batch in publish.batches():
        profile, *words = batch.command.split()[4:]
        keys = parse_keys([word.strip('"') for word in words], "test")
        experiment = jointens.Experiment.from_profile(paths.repository() / profile, **keys)
        assert experiment.hash == batch.setting.experiment.hash
        assert set(experiment.cells) == set(batch.cells)


def test_a_run_without_its_damaged_images_is_refused(clone, tiny):
    results = jointens.run(tiny(), progress=False)
    record = results.read(Cell(0.0, 0))
    skipped = dataclasses.replace(record, provenance=record.provenance | {"skipped": 2})
    results.path(record.cell).write_bytes(results.to_json(skipped))
    with pytest.raises(InputError, match="was trained without the images that were damaged"):
        publish.publish_folder(results.folder)
    assert not clone.results.folder.exists()


def test_what_is_no_setting_is_refused(clone, tiny, tmp_path):
    other = jointens.run(tiny(learning_rate=0.2), progress=False).folder
    with pytest.raises(InputError, match="holds no results of a setting to publish; those are tiny-scores"):
        publish.publish_folder(other)
    assert not (tmp_path / "results" / "tiny-scores").exists()
    with pytest.raises(InputError, match="is no results folder"):
        publish.publish_folder(tmp_path)
    started = Results(tiny(), tmp_path / "started")
    started.prepare()
    with pytest.raises(InputError, match="holds no finished cell of tiny-scores"):
        publish.publish_folder(started.folder)
    ours = jointens.run(tiny(), progress=False)
    theirs = Results(ours.experiment, tmp_path / "theirs", numbers=RELEASED)  # as `convert` marks theirs
    theirs.prepare()
    with pytest.raises(InputError, match="holds no results of a setting to publish"):
        publish.publish_folder(theirs.folder)
