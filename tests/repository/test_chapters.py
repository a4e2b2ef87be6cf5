"""The chapters of diagnostics on other ensembles than their own: the authors' format, and any sweep with outputs."""

from pathlib import Path

import jupytext
import nbformat
import pytest
from checkout import ROOT
from jupyter_client import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

import jointens
from jointens import Experiment
from jointens.analysis import at_rates, choose_rates, compare, over_rates, sweep_diagnostics
from jointens.authors.results import convert
from jointens.reports import published

pytestmark = pytest.mark.slow

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


@pytest.fixture(scope="module")
def execute():
    """Run a chapter as papermill does; return the text that it prints and shows, and the number of its figures.

    All chapters here share a kernel, whose namespace is emptied before each: a kernel takes ten seconds of imports.
    """
    kernel = KernelManager(kernel_name="python3")

    def run(name, **parameters):
        values = {key: str(value) if isinstance(value, Path) else value for key, value in parameters.items()}
        notebook = parameterize_notebook(load_notebook_node(str(ROOT / "notebooks" / f"{name}.ipynb")), values)
        notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
        client = NotebookClient(notebook, km=kernel, resources={"metadata": {"path": str(ROOT / "notebooks")}})
        try:
            client.execute()
        finally:
            client.kc.stop_channels()
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        texts = [output.get("text", output.get("data", {}).get("text/plain", "")) for output in outputs]
        return "\n".join(texts), sum("image/png" in output.get("data", {}) for output in outputs)

    yield run
    if kernel.has_kernel:
        kernel.shutdown_kernel(now=True)


@pytest.mark.parametrize(
    ("name", "figures"), [("diversity_explosion", 1), ("debiased_diversity", 1), ("codependence", 3)]
)
def test_a_file_of_the_authors_format_goes_through(name, figures, regression, classes, tmp_path, execute):
    file = convert(regression.folder, tmp_path / "theirs") / "deep_ensemble_diabetes_last.json"
    parameters = {"released": file}
    if name == "codependence":
        parameters |= {"saved_classifier": classes.folder, "repeats": 2}
    text, figures_shown = execute(name, **parameters)
    assert figures_shown == figures
    stored = jointens.stored_outputs(file)
    if name == "diversity_explosion":
        for ratio in sweep_diagnostics.control(stored)["ratio"]:
            assert f"{ratio:.3f}" in text
    if name == "debiased_diversity":
        share = sweep_diagnostics.signs(stored).groupby("beta")["constant_shifts"].mean()[1]
        assert f"{100 * share:.1f}" in text


def test_a_parameter_that_no_cell_knows_ends_the_chapter(execute):
    with pytest.raises(CellExecutionError, match="InputError: a parameter of papermill: unknown key 'lr'"):
        execute("diversity_explosion", lr=0.01)


def test_a_saved_classifier_goes_through(classes, execute):
    text, figures_shown = execute("debiased_diversity", saved=classes.folder)
    assert figures_shown == 1 and "alarms in any run" in text


def claims_of(chapter):
    """The code of the cell in which a chapter states what it has shown."""
    cells = jupytext.read(ROOT / "notebooks" / f"{chapter}.py").cells
    (cell,) = [cell for cell in cells if "claims" in cell.metadata.get("tags", [])]
    return cell.source


def test_the_claims_of_the_beta_sweep_fail_where_the_sign_is_turned(capsys):
    photographs = published.RESNET8.whole.tests()
    cnn = {"authors' rate": published.Setting("cifar10_cnn", "scores").results}
    one_network = published.Setting("cifar10_resnet8_wide", "scores").results
    at_every_rate = over_rates({rate: results.tests() for rate, results in published.by_rate().items()})
    own_rates = at_rates(at_every_rate, choose_rates(at_every_rate))
    with_each_average = {name: results.tests() for name, results in published.by_average().items()}
    names = {"compare": compare, "cnn": cnn, "one_network": one_network}
    shown = {"on_photographs": photographs, "own_rates": own_rates, "with_each_average": with_each_average}
    exec(claims_of("beta_sweep"), names | shown)
    assert ": True" in capsys.readouterr().out

    def turned(tests):
        betas = sorted(tests["beta"].unique())
        return tests.assign(beta=tests["beta"].map(dict(zip(betas, reversed(betas), strict=True))))

    shown = {"on_photographs": turned(photographs), "own_rates": turned(own_rates)}
    shown["with_each_average"] = {name: turned(tests) for name, tests in with_each_average.items()}
    with pytest.raises(AssertionError):
        exec(claims_of("beta_sweep"), names | shown)
    told = [line.rpartition(": ") for line in capsys.readouterr().out.splitlines()]
    assert {holds for claim, _, holds in told if claim.startswith("fitted")} == {"False"}  # each of them


def test_a_table_of_ones_own_goes_through_the_tabular_chapter(tmp_path, execute):
    from sklearn.datasets import load_diabetes

    file = tmp_path / "patients.csv"
    load_diabetes(as_frame=True, scaled=False).frame.to_csv(file, index=False)
    keys = {"num_epochs": 2, "num_learners": 3, "beta_vals": [0, 1], "seeds": [0, 1]}
    text, figures_shown = execute("tabular", dataset=f"csv:{file}", target="target", **keys)
    assert figures_shown == 4 and "last epoch: test loss is" in text
