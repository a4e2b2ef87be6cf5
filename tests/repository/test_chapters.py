"""The chapters of diagnostics on other ensembles than their own: the authors' format, and any sweep with outputs."""

import nbformat
import pytest

import jointens
from jointens import Experiment
from jointens.analysis import sweep_diagnostics
from jointens.authors.results import convert

SMALL = {"num_learners": 5, "num_epochs": 3, "seeds": [0, 1], "hidden": [8], "device": "cpu"}


@pytest.fixture(scope="module")
def regression(tmp_path_factory):
    keys = {
        "dataset": "diabetes",
        "learning_rate": 0.01,
        "beta_vals": [0, 0.5, 1],
        "out": tmp_path_factory.mktemp("runs"),
    }
    return jointens.run(Experiment(**keys, **SMALL), progress=False)


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    keys = {"train_size": 64, "beta_vals": [0, 1], "out": tmp_path_factory.mktemp("runs")}
    return jointens.run(Experiment(**keys, **SMALL), progress=False)


def execute(name, tmp_path, shell, **parameters):
    """The text that a chapter prints and shows, and the number of its figures."""
    out = tmp_path / f"{name}.ipynb"
    given = [word for key, value in parameters.items() for word in ("-p", key, str(value))]
    shell(["papermill", f"notebooks/{name}.ipynb", str(out), "--cwd", "notebooks", "--no-progress-bar", *given])
    told = [output for cell in nbformat.read(out, as_version=4).cells for output in cell.get("outputs", [])]
    texts = [output.get("text", output.get("data", {}).get("text/plain", "")) for output in told]
    return "\n".join(texts), sum("image/png" in output.get("data", {}) for output in told)


@pytest.mark.parametrize(
    ("name", "figures"), [("diversity_explosion", 1), ("debiased_diversity", 1), ("codependence", 3)]
)
def test_a_file_of_the_authors_format_goes_through(name, figures, regression, classes, tmp_path, shell):
    file = convert(regression.folder, tmp_path / "theirs") / "deep_ensemble_diabetes_last.json"
    parameters = {"released": file}
    if name == "codependence":
        parameters |= {"saved_classifier": classes.folder, "repeats": 2}
    told, shown = execute(name, tmp_path, shell, **parameters)
    assert shown == figures
    stored = jointens.stored_outputs(file)
    if name == "diversity_explosion":
        for ratio in sweep_diagnostics.control(stored)["ratio"]:
            assert f"{ratio:.3f}" in told
    if name == "debiased_diversity":
        share = sweep_diagnostics.signs(stored).groupby("beta")["constant_shifts"].mean()[1]
        assert f"{100 * share:.1f}" in told


def test_a_saved_classifier_goes_through(classes, tmp_path, shell):
    told, shown = execute("debiased_diversity", tmp_path, shell, saved=classes.folder)
    assert shown == 1 and "alarms in any run" in told


def test_a_table_of_ones_own_goes_through_the_tabular_chapter(tmp_path, shell):
    from sklearn.datasets import load_diabetes

    file = tmp_path / "patients.csv"
    load_diabetes(as_frame=True, scaled=False).frame.to_csv(file, index=False)
    keys = {"num_epochs": 2, "num_learners": 3, "beta_vals": "[0, 1]", "seeds": "[0, 1]"}
    told, shown = execute("tabular", tmp_path, shell, dataset=f"csv:{file}", target="target", **keys)
    assert shown == 4 and "last epoch: test loss is" in told
