"""A table of the user's own: what becomes of it, and whose its results are."""

import dataclasses
import shutil

import pytest
import torch
from houses import ROWS, on_houses, table

import jointens
from jointens import Experiment, InputError, Results, sweeps
from jointens.common.yaml_json import read_yaml
from jointens.data.csv_table import _parsed, read_table
from jointens.data.registry import known_dataset
from jointens.data.splits import load_data
from jointens.reports import beta_sweep
from jointens.reports.style import scale_of

# ---- what becomes of a table


def test_a_table_becomes_numbers_and_is_split_by_the_seed(houses):
    experiment = houses()
    assert (experiment.sizes, experiment.input_shape, experiment.loss) == ((18, 6, 6), (6,), "squared_error")
    inputs, targets = experiment.about_data.read()
    lines = [line.split(",") for line in table().splitlines()[1:]]
    assert inputs[:, 0].tolist() == [float(line[0]) for line in lines]
    assert inputs[:, 1:4].tolist() == [[float(line[1] == city) for city in ("Bonn", "Köln", "Ulm")] for line in lines]
    assert inputs[:, 4].tolist() == [float(line[2] == "true") for line in lines]
    assert inputs[:, 5].tolist() == [7] * ROWS and targets.tolist() == [float(line[4]) for line in lines]
    data, other = (sweeps.load_data(experiment, seed) for seed in (0, 1))
    assert tuple(map(len, (data.train, data.val, data.test))) == experiment.sizes
    assert not torch.equal(data.test.targets, other.test.targets)
    torch.testing.assert_close(data.train.inputs.mean(0), torch.zeros(6), rtol=0, atol=1e-6)
    torch.testing.assert_close(data.train.inputs.std(0, correction=0), torch.tensor([1.0, 1, 1, 1, 1, 0]))
    torch.testing.assert_close(data.train.targets.std(correction=0), torch.tensor(1.0))
    for part in (data.train, data.val, data.test):
        assert part.inputs.dtype == part.targets.dtype == torch.float32 and not part.inputs[:, 5].any()


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_found_and_all_give_the_same(houses, separator):
    inputs, targets = houses().about_data.read()
    content = table(separator).replace("\n", "\r\n").encode("utf-8-sig")  # as Excel writes it
    same_inputs, same_targets = houses(content).about_data.read()
    assert torch.equal(same_inputs, inputs) and torch.equal(same_targets, targets)


def test_blank_lines_and_old_line_ends_change_nothing(houses):
    inputs, _ = houses().about_data.read()
    lines = table(one_3="big").splitlines()
    with pytest.raises(InputError, match=r"houses.csv, line 9, column 'one': 'big' is no number"):
        houses("\n\n" + "\n".join([*lines[:3], "", "  ", *lines[3:]]))
    lines = table().splitlines()
    for content in ("\r".join(lines), "\n \n" + table(), "\n".join([*lines[:3], "", "  ", *lines[3:], "", ""])):
        assert torch.equal(houses(content).about_data.read()[0], inputs)


def test_separators_within_unquoted_column_names_are_parts_of_the_names(houses):
    for separator, other in ((";", ","), (",", ";"), ("\t", ",")):
        content = table(separator).replace("area", f"area{other} m2{other} net{other} dry{other} all{other}", 1)
        inputs, _ = houses(content).about_data.read()
        assert torch.equal(inputs, houses().about_data.read()[0])


def test_a_separator_in_quotes_and_a_line_break_in_quotes_are_parts_of_a_text(houses):
    content = (
        table()
        .replace("area,city", '"area; net; dry",city')
        .replace("Ulm", '"Ulm,\nnew"')
        .replace("price", '"a ""b"""')
    )
    experiment = houses(content, target='a "b"')
    assert experiment.input_shape == (6,)
    with pytest.raises(InputError, match=r"houses.csv, line 8, column 'area; net; dry': 'big' is no number"):
        houses(content.replace("\n" + content.split("\n")[7].split(",")[0], "\nbig"), target='a "b"')


def test_missing_numbers_become_the_mean_of_the_training_part(houses):
    experiment = houses(table(area_0="", area_4="NA", area_9=" nan ", garden_2="null"))
    inputs, _ = experiment.about_data.read()
    assert inputs[:, 0].isnan().nonzero().flatten().tolist() == [0, 4, 9] and inputs[2, 4].isnan()
    data = sweeps.load_data(experiment, 0)
    everything = torch.cat([data.test.inputs, data.val.inputs, data.train.inputs])
    assert everything.isfinite().all()
    assert (everything[:, 0] == 0).sum() == 3 and (everything[:, 4] == 0).sum() == 1
    torch.testing.assert_close(data.train.inputs.std(0, correction=0)[:5], torch.ones(5))
    known = data.train.inputs[:, 0][data.train.inputs[:, 0] != 0]
    assert abs(known.mean()) < 1e-6


def test_a_column_without_any_entry_stays_at_zero(houses):
    experiment = houses(table(**{f"city_{row}": ["", "NA"][row % 2] for row in range(ROWS)}))
    inputs, _ = experiment.about_data.read()
    assert inputs.shape[1] == 4 and inputs[:, 1].isnan().all()
    assert not sweeps.load_data(experiment, 0).test.inputs[:, 1].any()
    assert "columns of one value stay at 0: city, one" in experiment.about_data.notes


def test_a_missing_text_is_a_text_of_its_own(houses):
    inputs, _ = houses(table(city_1="", city_2="NA")).about_data.read()
    assert inputs.shape[1] == 7 and inputs[:, 1:5].sum(1).tolist() == [1] * ROWS
    assert inputs[:, 4].nonzero().flatten().tolist() == [1, 2]


def test_rows_without_a_target_are_left_out(houses):
    experiment = houses(table(price_0="", price_7="NaN") + "\n,,,,\n")
    assert sum(experiment.sizes) == ROWS - 2 and experiment.sizes == (16, 6, 6)


def test_large_numbers_keep_their_differences(houses):
    """Such as seconds since 1970, which float32 rounds to equal values."""
    inputs, _ = houses(table(**{f"one_{row}": str(1_700_000_000 + row) for row in range(ROWS)})).about_data.read()
    data = sweeps.load_data(on_houses(), 0)
    assert len(data.train.inputs[:, 5].unique()) == 18 and inputs[1, 5] - inputs[0, 5] == 1


def test_what_is_constant_in_the_training_part_alone_stays_at_zero(houses):
    experiment = houses(table(one_3="1e6"))
    for seed in range(6):
        data = sweeps.load_data(experiment, seed)
        if not data.train.inputs[:, 5].any():
            assert not data.val.inputs[:, 5].any() and not data.test.inputs[:, 5].any()
            return
    raise AssertionError("the odd row was for training six times: choose another")


def test_notes_are_shown_once_when_something_is_trained(houses, capsys):
    experiment = houses(table(area_0="", city_1="", price_2=""))
    jointens.run(experiment, progress=False)
    assert capsys.readouterr().err.splitlines() == [
        "jointens: houses.csv: 29 rows, 7 features, target price; by each seed 17 rows for training, 6 for validation, "
        "6 for test; all standardised on the training part",
        "jointens: houses.csv: rows without a target are left out: 1",
        "jointens: houses.csv: missing numbers become the training part's mean: area (1)",
        "jointens: houses.csv: texts become a column each: city (4, one for none)",
        "jointens: houses.csv: true and false are 1 and 0: garden",
        "jointens: houses.csv: columns of one value stay at 0: one",
    ]
    jointens.run(experiment, progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("prices", "note"),
    [
        (["0", "1"], "whole numbers of the target are values to predict, not classes: 0, 1"),
        (["3.0", "1", "2"], "whole numbers of the target are values to predict, not classes: 1, 2, 3"),
        (["0.5", "1", "2"], None),
        ([str(price) for price in range(11)], None),
    ],
)
def test_a_note_tells_that_classes_written_as_numbers_are_values(houses, prices, note):
    changed = {f"price_{row}": prices[row % len(prices)] for row in range(ROWS)}
    told = [line for line in houses(table(**changed)).about_data.notes if "classes" in line]
    assert told == ([note] if note else [])


def test_many_columns_are_listed_in_short(houses):
    columns = [f"c{number}" for number in range(30)]
    lines = [",".join([*columns, "y"])] + [",".join(["5"] * 30 + [str(row)]) for row in range(12)]
    (_, constant) = houses("\n".join(lines), target="y").about_data.notes
    assert constant.endswith("c18, c19 and 10 more")


# ---- whose results they are


def test_the_path_is_made_absolute_and_the_name_is_the_files(houses, tmp_path, monkeypatch):
    experiment = houses()
    assert experiment.dataset == f"csv:{tmp_path}/houses.csv"
    assert (experiment.data_name, scale_of(experiment)) == ("houses.csv", "own")
    assert experiment.name == f"houses-MLP-{experiment.hash}"
    assert on_houses(dataset="csv:./x/../houses.csv") == experiment
    monkeypatch.setenv("HOME", str(tmp_path))
    assert on_houses(dataset="csv:~/houses.csv") == experiment
    monkeypatch.chdir("/")
    assert dataclasses.replace(experiment, num_epochs=3).sizes == experiment.sizes
    shutil.copy(tmp_path / "houses.csv", tmp_path / "my houses, 2024.csv")
    spaced = on_houses(dataset=f"csv:{tmp_path}/my houses, 2024.csv")
    assert spaced.name == f"my-houses-2024-MLP-{spaced.hash}" and spaced.data_name == "my houses, 2024.csv"


def test_another_content_or_target_is_another_experiment_another_place_is_not(houses, tmp_path):
    experiment = houses()
    assert len(experiment.identity()["content"]) == 16 and "content" not in Experiment().identity()
    hashes = {experiment.hash, on_houses(target="area").hash, houses(table(area_3="5")).hash, Experiment().hash}
    assert len(hashes) == 4
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "houses.csv").write_text(table())
    moved = on_houses(dataset="csv:elsewhere/houses.csv")
    assert moved.hash == experiment.hash
    jointens.run(moved, progress=False)
    houses()
    assert len(Results(experiment).tests()) == 8  # the same folder, opened with the other path


def test_a_table_that_changes_under_an_experiment_is_found(houses):
    experiment = houses()
    houses(table(area_3="55"))
    with pytest.raises(InputError, match=r"^houses.csv has changed since this experiment was made; make it anew$"):
        jointens.run(experiment, progress=False)
    changed = on_houses(tag="mine")
    jointens.run(changed, progress=False)
    with pytest.raises(InputError, match=r"holds another experiment: content .* there, .* here; choose another tag"):
        jointens.run(houses(tag="mine"), progress=False)


def test_results_are_opened_again_while_the_table_is_there(houses, tmp_path):
    results = jointens.run(houses(), progress=False)
    saved = read_yaml((results.folder / "experiment.yml").read_text())
    assert saved["dataset"] == f"csv:{tmp_path}/houses.csv"
    assert saved["content"] == results.experiment.about_data.content
    again = Results.at(results.folder)
    assert again.experiment.hash == results.experiment.hash and again.tests().equals(results.tests())
    ensemble = jointens.load(results.folder, beta=1, seed=1)
    assert ensemble(sweeps.load_data(again.experiment, 1).test.inputs).shape == (2, 6, 1)
    stamp = beta_sweep.stamp(again)
    assert stamp.startswith("results on a table of your own · houses.csv, 18 training examples · MLP, M = 2 · ")

    path = tmp_path / "houses.csv"
    path.write_text(table(area_3="55"))
    message = f"{results.folder} was trained on {path}, which has changed since: {saved['content']} then, .* now$"
    with pytest.raises(InputError, match=message):
        Results.at(results.folder)


@pytest.mark.parametrize("target", [2019, "2019"])  # papermill and YAML make a number of the name
def test_a_column_may_be_named_by_a_number(houses, target):
    experiment = houses(table().replace("price", "2019", 1), target=target)
    assert experiment.target == "2019" and experiment == houses(table().replace("price", "2019", 1), target="2019")
    with pytest.raises(InputError, match=r"target is '2020', no column of houses.csv; the nearest is '2019'"):
        on_houses(target=2020)


def test_a_table_is_parsed_once_until_it_changes(houses, tmp_path):
    experiment = houses()
    before = _parsed.cache_info().misses
    assert experiment.identity() and sweeps.make_learner(experiment)
    assert sweeps.load_data(experiment, 0) and sweeps.load_data(experiment, 1)
    assert _parsed.cache_info().misses == before
    first = read_table("csv:houses.csv", "price")
    houses(table(area_3="5555555"))
    assert read_table("csv:houses.csv", "price").content != first.content


def test_load_data_takes_a_table_too(houses, tmp_path):
    experiment = houses()
    data = load_data("csv:houses.csv", target="price", seed=0)
    assert torch.equal(data.test.inputs, sweeps.load_data(experiment, 0).test.inputs)
    data.train.targets[:] = 0
    assert torch.equal(load_data("csv:houses.csv", target="price", seed=0).test.inputs, data.test.inputs)
    assert known_dataset(f"csv:{tmp_path}/houses.csv", "price").sizes == (18, 6, 6)
