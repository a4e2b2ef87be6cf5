"""A table of the user's own: what may be wrong with it."""

import os

import pytest
from houses import ROWS, on_houses, table

import jointens
from jointens import InputError
from jointens.cli import main
from jointens.data.csv_table import _parsed

COLUMNS = "its columns are area, city, garden, one, price"
OWN = "has its own, only csv:PATH takes one"
NAMES = (
    "digits, diabetes, CIFAR-10, CIFAR-100, SVHN, ImageNet, toy-imagenet, bioconcentration, facebook, weather, abalone"
)
NO_NUMBER = "is no number; correct it, or leave it empty; remove the column if it holds dates"
COMMA = "'12,5' is no number; write a decimal point, and nothing between thousands"
INFINITE = "is not finite; allowed are numbers up to 1e+30"
TEXTS = "allowed are at most 50, and some more than once: remove the column if it holds names, dates or remarks"
REGRESSION = (
    "is no number; csv: tables are for regression, and the target is a column of numbers; "
    "for classes write a function, import:MODULE:FUNCTION"
)
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


MARKS = [
    "?,?,?,2.5,3", "--,--,1,2", "<1.2,< 1.2,<0.9,1.5,2", "?,<1.2,<1.3,low,2,3,4", "ND,ND,ND,ND,0.25,1.75",
    "trace,n.d.,trace,1.5,2.5",
]  # fmt: skip


@pytest.mark.parametrize("kinds", MARKS)
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


def counting(name, numbers):
    """The table with a first column that counts its rows, sorted by the price as a table often is."""
    header, *lines = table().splitlines()
    lines.sort(key=lambda line: float(line.split(",")[-1]))
    numbered = [f"{number},{line}" for number, line in zip(numbers, lines, strict=True)]
    return "\n".join([f"{name},{header}", *numbered, ""])


@pytest.mark.parametrize(
    ("content", "first"),
    [
        (counting("line", range(1, 31)), 1),
        (counting("line", range(30)), 0),
        (counting("line", reversed(range(1, 31))), 1),
        (counting("line", [(7 * row) % 31 for row in range(1, 31)]), 1),
        (counting("line", range(30)) + ",,,,,\n", 0),
    ],
)
def test_a_column_that_counts_the_rows_is_refused_before_anything_is_trained(houses, tmp_path, content, first):
    """Rows are often sorted by the target, and then their numbers predict it."""
    numbers = f"from {first} to {first + 29}, in whatever order they are"
    message = f"column 'line' counts the rows, {numbers}; remove it, or write {first}.0 for {first} if it is a quantity"
    experiment = houses(content)  # results that were trained on it are opened
    with pytest.raises(InputError) as caught:
        jointens.run(experiment, progress=False)
    assert str(caught.value) == f"houses.csv: {message}" and not (tmp_path / "runs").exists()


def test_counts_that_may_be_quantities_are_kept(houses):
    quantities = (
        counting("year", range(1991, 2021)),  # a note tells it
        counting("age", [*range(1, 30), 29]),
        counting("age", [*range(29), 30]),
        counting("day", [f"{day}.0" for day in range(30)]),
        counting("day", ["", *range(29)]),
    )
    for content in quantities:
        assert houses(content).about_data.read()[0].shape == (30, 7)
    assert "columns that count up by one, perhaps the rows: year" in houses(quantities[0]).about_data.notes
    assert houses("x,price\n" + "".join(f"{row},{row**2}\n" for row in range(30))).about_data.read()  # nothing else


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
