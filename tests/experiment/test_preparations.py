"""Results on a table of the user's own: new rows in its units, and what works where the table is not."""

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from houses import on_houses, table

import jointens
from jointens import Cell, InputError, Results
from jointens.cli import main
from jointens.common import generator
from jointens.reports import beta_sweep
from jointens.reports.style import scale_of

ROWS = 60  # of which 12 are for testing: a diagnosis needs ten


@pytest.fixture
def trained(tmp_path):
    """Results on houses.csv, which may be changed."""
    (tmp_path / "houses.csv").write_text(table() + table().partition("\n")[2])
    keys = {"dataset": f"csv:{tmp_path / 'houses.csv'}", "out": tmp_path / "runs", "num_epochs": 60}
    return jointens.run(on_houses(**keys), progress=False)


def test_new_rows_are_predicted_in_the_tables_units(trained, tmp_path):
    """The stored outputs of the test part, in units of money by numpy; and the prices, some 300, are met to a third."""
    rows = pd.read_csv(tmp_path / "houses.csv")
    for cell in trained.experiment.cells:
        order = torch.randperm(ROWS, generator=generator(cell.seed, "split")).numpy()
        train, test = rows.iloc[order[24:]], rows.iloc[order[:12]]
        outputs = trained.outputs(cell)["test_outputs_best"][..., 0].mean(0)  # (M, N, 1) to (N,)
        expected = outputs * train["price"].std(ddof=0) + train["price"].mean()
        prices = jointens.predict(trained.folder, test, cell.beta, cell.seed)
        np.testing.assert_allclose(prices, expected, rtol=1e-5)
        assert prices.name == "price" and prices.index.equals(test.index)
        assert (prices / rows["price"] - 1).abs().max() < 1 / 3
        again = jointens.predict(trained.folder, test.drop(columns="price")[["one", "city", "area", "garden"]], *cell)
        assert again.equals(prices)


def test_what_needs_no_table_works_without_it(trained, tmp_path, capsys):
    rows, before = pd.read_csv(tmp_path / "houses.csv"), {}
    for there in (True, False):
        if not there:
            shutil.copytree(trained.folder, tmp_path / "elsewhere" / "copy")
            shutil.rmtree(trained.folder)
            (tmp_path / "houses.csv").unlink()
        folder = trained.folder if there else tmp_path / "elsewhere" / "copy"
        results = Results.at(folder)
        assert main(["show", str(folder)]) == 0
        seen = {
            "about": (results.experiment.hash, results.experiment.sizes, results.experiment.input_shape),
            "scale": scale_of(results.experiment),
            "tests": results.tests().to_csv(),
            "history": results.history().to_csv(),
            "outputs": {name: values.tolist() for name, values in results.outputs(Cell(1.0, 0)).items()},
            "weights": [value.tolist() for value in jointens.load(folder, 1, 0).state_dict().values()],
            "predicted": jointens.predict(folder, rows, 1, 1).tolist(),
            "stamp": beta_sweep.stamp(results),
            "shown": capsys.readouterr().out.replace(str(folder), ""),
        }
        assert results.folder == folder and (there or seen == before)
        before = seen
    assert main(["convert", str(folder), str(tmp_path / "theirs")]) == 0
    experiment = dataclasses.replace(results.experiment, out=str(folder.parent), tag=folder.name)
    assert jointens.run(experiment, progress=False).tests().to_csv() == before["tests"]  # nothing is missing
    files = sorted(folder.rglob("*"))
    with pytest.raises(InputError, match=f"^cannot read the table {tmp_path}/houses.csv: No such file or directory$"):
        jointens.run(dataclasses.replace(experiment, seeds=[0, 1, 2]), progress=False)
    assert sorted(folder.rglob("*")) == files


def test_a_table_that_is_there_again_is_read_and_compared(trained, tmp_path):
    (tmp_path / "houses.csv").rename(tmp_path / "away.csv")
    experiment = Results.at(trained.folder).experiment
    (tmp_path / "away.csv").rename(tmp_path / "houses.csv")
    assert len(experiment.about_data.read()[0]) == ROWS
    (tmp_path / "houses.csv").write_text(table(area_3="55"))
    with pytest.raises(InputError, match=r"houses.csv has changed since this experiment was made; make it anew$"):
        _ = experiment.about_data


def test_the_preparation_is_one_file_for_each_seed_and_no_part_of_the_hash(trained, tmp_path):
    files = sorted((trained.folder / "preparation").iterdir())
    assert [file.name for file in files] == ["seed=0.json", "seed=1.json"]
    kept = json.loads(files[0].read_text())
    rows = pd.read_csv(tmp_path / "houses.csv").iloc[torch.randperm(ROWS, generator=generator(0, "split"))[24:].numpy()]
    assert kept["columns"][1] == {"name": "city", "kind": "text", "texts": ["Bonn", "Köln", "Ulm"]}
    assert kept["scaling"]["target_mean"] == pytest.approx(rows["price"].mean(), rel=1e-12)
    assert kept["scaling"]["std"][0] == pytest.approx(rows["area"].std(ddof=0), rel=1e-12)
    assert kept["content"] == trained.experiment.about_data.content
    times = [file.stat().st_mtime_ns for file in files]
    jointens.run(dataclasses.replace(trained.experiment, seeds=[0, 1, 2]), progress=False)
    assert [file.stat().st_mtime_ns for file in files] == times and len(list(files[0].parent.iterdir())) == 3
    assert trained.experiment.hash == "860f8bd9"  # as it was before preparations were kept


def test_a_folder_from_before_is_read_and_says_what_it_lacks(trained, tmp_path):
    rows = pd.read_csv(tmp_path / "houses.csv")
    prices = jointens.predict(trained.folder, rows, 1, 0)
    shutil.rmtree(trained.folder / "preparation")
    assert len(Results.at(trained.folder).tests()) == 8
    assert jointens.predict(trained.folder, rows, 1, 0).equals(prices)  # the table is there
    open_ = Results.at(trained.folder)
    (tmp_path / "houses.csv").unlink()
    what = f"{trained.folder} was trained on {tmp_path}/houses.csv, which is not there; the folder lacks preparation/"
    for look in (Results.at, lambda folder: jointens.predict(folder, rows, 1, 0)):
        with pytest.raises(InputError, match=f"^{what}, which would stand for it, so put the table back$"):
            look(trained.folder)
    assert len(open_.tests()) == 8
    with pytest.raises(
        InputError, match=rf"^{trained.folder} lacks preparation/seed=0.json, and cannot read the table"
    ):
        open_.preparation(0)


def test_a_damaged_preparation_is_one_line(trained):
    file = trained.folder / "preparation" / "seed=0.json"
    for content in ("{", "{}", '{"columns": [{"name": 1}]}', file.read_text().replace('"mean"', '"means"')):
        file.write_text(content)
        with pytest.raises(InputError, match=r"seed=0\.json is (damaged; remove it|not JSON)"):
            trained.preparation(0)


def test_other_data_have_no_preparation(tiny):
    results = jointens.run(tiny(), progress=False)
    assert not (results.folder / "preparation").exists()
    with pytest.raises(InputError, match="was trained on digits; rows of csv:PATH alone can be prepared"):
        results.preparation(0)
