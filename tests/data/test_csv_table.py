"""Tests for `csv:PATH`: what becomes of a table's columns, its identity, and a one-line error for each problem."""

import dataclasses
import os
import shutil

import numpy as np
import pytest
import torch

import jointens
from jointens import Experiment, InputError, Results, sweeps
from jointens.cli import main
from jointens.common.yaml_json import read_yaml
from jointens.data.csv_table import _parsed, read_table
from jointens.data.registry import known_dataset
from jointens.data.splits import load_data
from jointens.reports import beta_sweep
from jointens.reports.style import scale_of

ROWS = 30


def table(separator: str = ",", **changed: str) -> str:
    """Make thirty rows of a number, a text, true or false, a constant and the price.

    Args:
        separator: between the cells.
        changed: other cells, named `area_3` for row 3 of the column area, which is line 5 of the file.
    """
    rng = np.random.default_rng(0)
    lines = [["area", "city", "garden", "one", "price"]]
    for row in range(ROWS):
        area = rng.normal(100, 20)
        cells = {"area": f"{area:.2f}", "city": ["Bonn", "Köln", "Ulm"][row % 3], "garden": ["true", "False"][row % 2]}
        cells |= {"one": "7", "price": f"{3 * area + rng.normal():.3f}"}
        cells |= {name.split("_")[0]: value for name, value in changed.items() if name.endswith(f"_{row}")}
        lines.append(list(cells.values()))
    return "".join(separator.join(line) + "\n" for line in lines)


@pytest.fixture
def houses(tmp_path, monkeypatch):
    """Return a function that writes houses.csv into the working directory and makes an experiment on it."""
    monkeypatch.chdir(tmp_path)

    def make(content: str | bytes | None = None, **keys) -> Experiment:
        content = table() if content is None else content
        (tmp_path / "houses.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
        return on_houses(**keys)

    return make


def on_houses(**keys) -> Experiment:
    small = {"hidden": [8], "num_learners": 2, "num_epochs": 2, "seeds": [0, 1], "beta_vals": [0, 1], "device": "cpu"}
    rates = {"optimiser": "Adam", "learning_rate": 0.01, "out": "runs"}
    return Experiment(**{"dataset": "csv:houses.csv", "target": "price", **small, **rates, **keys})


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


def test_many_columns_are_listed_in_short(houses):
    columns = [f"c{number}" for number in range(30)]
    lines = [",".join([*columns, "y"])] + [",".join(["5"] * 30 + [str(row)]) for row in range(12)]
    (_, constant) = houses("\n".join(lines), target="y").about_data.notes
    assert constant.endswith("c18, c19 and 10 more")


# ---- what may be wrong

COLUMNS = "its columns are area, city, garden, one, price"
OWN = "has its own, only csv:PATH takes one"
NAMES = (
    "digits, diabetes, CIFAR-10, CIFAR-100, SVHN, ImageNet, toy-imagenet, bioconcentration, facebook, weather, abalone"
)
NO_NUMBER = "is no number; correct it, or leave it empty; remove the column if it holds dates"
COMMA = "'12,5' is no number; write a decimal point, and nothing between thousands"
INFINITE = "is not finite; allowed are numbers up to 1e+30"
TEXTS = "allowed are at most 50, and some more than once: remove the column if it holds names, dates or remarks"
REGRESSION = "is no number; csv: tables are for regression, and the target is a column of numbers, not of classes"
ROW_NUMBERS = "give it one, or remove it (pandas writes its row numbers so)"
UTF8 = "it is not UTF-8 text; save the table as UTF-8"
COMMAS = {f"area_{row}": "12,5" for row in range(ROWS)}
NAMED = {f"city_{row}": f"house {row + 1:02}" for row in range(ROWS)}
DISGUISED = [
    "5 %", "$3.50", "−4", "1 000", "2 500 €", "12,5 %", "2020-01-31", "31.01.2020", "1/2/2020", "2020-01-31 12:30",
]  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"target": None}, f"dataset is houses.csv, which needs the key target, the column to predict; {COLUMNS}"),
        ({"target": "prize"}, f"target is 'prize', no column of houses.csv; the nearest is 'price'; {COLUMNS}"),
        ({"target": "PRICE"}, f"target is 'PRICE', no column of houses.csv; the nearest is 'price'; {COLUMNS}"),
        ({"dataset": "digits"}, f"target is 'price'; digits {OWN}"),
        ({"dataset": "abalone"}, f"target is 'price'; abalone {OWN}"),
        ({"dataset": "csv:"}, "dataset is 'csv:'; allowed is csv:PATH, the path of a table"),
        ({"dataset": "csv:a\nb"}, "dataset is 'csv:a\\nb'; allowed are printable characters"),
        ({"dataset": "csv:none.csv"}, "cannot read the table {folder}/none.csv: No such file or directory"),
        ({"dataset": "csv:."}, "cannot read the table {folder}: Is a directory"),
        ({"dataset": "houses.csv"}, f"dataset is 'houses.csv'; known are {NAMES}, csv:PATH, import:MODULE:FUNCTION"),
        ({"label_noise": 0.1}, "label_noise is 0.1; houses.csv is a regression set and allows only 0"),
        ({"loss": "cross_entropy"}, "loss is cross_entropy; houses.csv allows squared_error"),
        ({"train_size": 19}, "train_size is 19; allowed for houses.csv is 1..18"),
        ({"image_size": 64}, "image_size is 64; houses.csv has inputs of one size and allows none"),
        (
            {"base_learner": "CNN"},
            "base_learner is CNN, which takes images of at least 16×16 pixels; houses.csv has inputs of shape 6",
        ),
        ({"target": "one"}, "houses.csv: the target one is 7 in all 30 rows; allowed is one that varies"),
        ({"target": "city"}, f"houses.csv, line 2, column 'city': 'Bonn' {REGRESSION}"),
        ({"target": "garden"}, f"houses.csv, line 2, column 'garden': 'true' {REGRESSION}"),
    ],
)
def test_keys_that_do_not_fit_are_one_line(houses, tmp_path, keys, message):
    with pytest.raises(InputError) as caught:
        houses(**keys)
    assert str(caught.value) == message.format(folder=tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", " is empty; allowed is a table with a line of column names"),
        (" \n\n", " is empty; allowed is a table with a line of column names"),
        ("a,price\n\n", " has no rows below its column names; allowed are at least 10"),
        ("a,price\n" + "1,2\n3,4\n" * 4 + "5,\n6,NA\n", " has 8 rows with a price; allowed are at least 10"),
        (table().encode("latin-1"), f", line 3: {UTF8}"),
        (table().encode("utf-16"), f", line 1: {UTF8}"),
        ("price\n" + "1\n2\n" * 9, " has no column but 'price'; allowed is at least one more, to predict it from"),
        (table().replace("area,", ",", 1), f": column 1 has no name; {ROW_NUMBERS}"),
        (table().replace("area,", "Unnamed: 0,", 1), f": column 1 has no name but 'Unnamed: 0'; {ROW_NUMBERS}"),
        (table().replace("one,", "Unnamed: 0.1,", 1), f": column 4 has no name but 'Unnamed: 0.1'; {ROW_NUMBERS}"),
        (table().replace("area,", "city,", 1), " has two columns 'city'; allowed are different names"),
        (table(one_3="7,8"), ", line 5: Expected 5 fields in line 5, saw 6"),
        ("a,price\n" + "1,2,3\n" * 12, ", line 2: Expected 2 fields in line 2, saw 3"),  # no index, nothing cut off
        (table(one_3="7\n"), ", line 5: 4 entries, for 5 columns"),
        (table(one_3='"7'), ", line 5: unexpected end of data"),
        (table(price_3="cheap"), f", line 5, column 'price': 'cheap' {NO_NUMBER}"),
        (table(area_3="n/a?"), f", line 5, column 'area': 'n/a?' {NO_NUMBER}"),
        (table(area_3="x" * 60), f", line 5, column 'area': '{'x' * 40}…' {NO_NUMBER}"),
        (table(area_3='"12,5"'), f", line 5, column 'area': {COMMA}"),
        (table(";", **COMMAS), f", line 2, column 'area': {COMMA}"),
        (table(";", price_3="12,5"), f", line 5, column 'price': {COMMA}"),
        (table(area_3="inf"), f", line 5, column 'area': 'inf' {INFINITE}"),
        (table(price_3="-Infinity"), f", line 5, column 'price': '-Infinity' {INFINITE}"),
        (table(area_3="1e31"), f", line 5, column 'area': '1e31' {INFINITE}"),
        (table(**NAMED), f", line 2, column 'city': 'house 01' is one of 30 different texts in 30 rows; {TEXTS}"),
        (
            "name,price\n" + "".join(f"n{row % 51},{row}\n" for row in range(60)),
            f", line 2, column 'name': 'n0' is one of 51 different texts in 60 rows; {TEXTS}",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(houses, content, message):
    with pytest.raises(InputError) as caught:
        houses(content)
    assert str(caught.value) == f"houses.csv{message}"


def texts(*kinds):
    return "kind,price\n" + "".join(f'"{kinds[row % len(kinds)]}",{row}\n' for row in range(24))


@pytest.mark.parametrize("entry", DISGUISED)
def test_numbers_in_disguise_and_dates_are_no_texts(houses, entry):
    with pytest.raises(InputError) as caught:
        houses(texts(entry, entry.replace("5", "6"), "not known", entry))
    assert str(caught.value) == f"houses.csv, line 2, column 'kind': '{entry}' {NO_NUMBER}"


@pytest.mark.parametrize("kinds", ["?,?,?,2.5,3", "--,--,1,2", "<1.2,< 1.2,<0.9,1.5,2", "?,<1.2,<1.3,low,2,3,4"])
def test_marks_among_numbers_are_no_texts_however_many(houses, kinds):
    kinds = kinds.split(",")
    with pytest.raises(InputError) as caught:
        houses(texts(*kinds))
    assert str(caught.value) == f"houses.csv, line 2, column 'kind': '{kinds[0]}' {NO_NUMBER}"


KINDS = [
    "<18,18-64,>64", "+,-,0", "?,a,b", "A1,B2,C3", "1st,2nd,3rd", "type 1,type 2", "5 %,a,b", "10-20,20-30",
    "2 rooms,3 rooms", "F-16,4x4,€",
]  # fmt: skip


@pytest.mark.parametrize("kinds", KINDS)
def test_texts_with_digits_in_them_are_texts(houses, kinds):
    kinds = kinds.split(",")
    inputs, _ = houses(texts(*kinds)).about_data.read()
    expected = [[float(kinds[row % len(kinds)] == kind) for kind in sorted(kinds)] for row in range(24)]
    assert inputs.tolist() == expected


def test_fifty_texts_are_allowed_and_ten_rows_are_enough(houses):
    content = "name,price\n" + "".join(f"n{row % 50},{row}\n" for row in range(60))
    assert houses(content).input_shape == (50,)
    assert houses("a,price\n" + "".join(f"{row},{row}\n" for row in range(10))).sizes == (6, 2, 2)


def test_a_file_that_may_not_be_read_is_one_line(houses, monkeypatch, tmp_path):
    houses()

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    _parsed.cache_clear()
    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(InputError, match=f"cannot read the table {tmp_path}/houses.csv: Permission denied"):
        on_houses()


def test_from_the_command_line(houses, tmp_path, capsys):
    houses()
    profile = tmp_path / "profile.yml"
    profile.write_text("hidden: [4]\nnum_learners: 2\nnum_epochs: 1\nseeds: [0]\nbeta_vals: [0]\nlearning_rate: 0.01\n")
    command = ["run", str(profile), "device=cpu", "out=runs", "dataset=csv:houses.csv"]
    assert main(command) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith("jointens: dataset is houses.csv, which needs the key target")
    assert shown.err.count("\n") == 1
    for word, message in (
        ("target=prize", "jointens: target is 'prize', no column of houses.csv; the nearest is 'price'; "),
        ("target=city", "jointens: houses.csv, line 2, column 'city': 'Bonn' is no number; "),
    ):
        assert main([*command, word]) == 2
        shown = capsys.readouterr()
        assert shown.out == "" and shown.err.startswith(message) and shown.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()
    assert main([*command, "target=price"]) == 0
    shown = capsys.readouterr()
    assert "jointens: houses.csv: 30 rows, 6 features, target price; " in shown.err
    assert os.path.isdir(shown.out.strip()) and os.path.basename(shown.out.strip()).startswith("houses-MLP-")


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
    path.unlink()
    message = f"{results.folder} was trained on {path}, which cannot be read: No such file or directory$"
    with pytest.raises(InputError, match=message):
        jointens.load(results.folder, beta=1, seed=1)


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
