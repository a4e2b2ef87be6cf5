"""What a reader of the repository meets: pairs in sync, clean outputs, the README's commands, a book that builds."""

import ast
import itertools
import re
import shlex
import shutil
import sys
from pathlib import Path

import authors
import jupytext
import nbformat
import pytest
from chapters import chapters
from checkout import ROOT
from papermill import inspect_notebook

import jointens
from jointens import Experiment, InputError
from jointens.common.yaml_json import read_yaml

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import theorems

NOTEBOOKS = [ROOT / "notebooks" / f"{name}.ipynb" for name in chapters(ROOT)]
# Those whose parameters are keys of an experiment.
WITH_EXPERIMENT = [path for path in NOTEBOOKS if "from_namespace" in path.with_suffix(".py").read_text()]
named = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_every_notebook_has_its_pair():
    assert len(NOTEBOOKS) >= 10
    assert all(path.exists() and path.with_suffix(".py").exists() for path in NOTEBOOKS)


@pytest.mark.parametrize("start", ["notebooks", "."])
def test_jupyter_lab_saves_both_of_a_pair_wherever_it_was_started(tmp_path, start):
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    lab = jupytext.TextFileContentsManager()
    lab.root_dir = str(tmp_path / start)
    notebook, source = (tmp_path / "notebooks" / f"objective{suffix}" for suffix in (".ipynb", ".py"))
    opened, before = notebook.relative_to(lab.root_dir).as_posix(), (notebook.read_bytes(), source.read_bytes())
    lab.save(lab.get(opened), opened)
    assert (notebook.read_bytes(), source.read_bytes()) == before  # nothing was changed
    model = lab.get(opened)
    model["content"]["cells"][0]["source"] += " Edited."
    lab.save(model, opened)
    assert " Edited." in source.read_text() and " Edited." in notebook.read_text()


@named
def test_the_outputs_are_executed_and_hold_nothing_volatile(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "run `make notebooks`"
    assert "papermill" not in notebook.metadata and "version" not in notebook.metadata.language_info
    for cell in code:
        assert not {"papermill", "execution"} & set(cell.metadata)
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr"
        printed = [output.output_type == "stream" for output in cell.outputs]
        assert not any(one and two for one, two in itertools.pairwise(printed)), "printed text in pieces"
    assert str(ROOT) not in path.read_text()


@named
def test_figures_have_caption_name_and_alt_text(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if any({"image/png", "image/svg+xml"} & output.get("data", {}).keys() for output in cell.get("outputs", [])):
            told = cell.metadata["mystnb"]
            assert told["figure"]["caption"] and told["figure"]["name"].startswith("fig-") and told["image"]["alt"]


@pytest.mark.parametrize(
    ("chapter", "profile"),
    [("beta_sweep", "digits"), ("tabular", "diabetes_ensembles"), ("shared_weights", "tabm_diabetes")],
)
def test_the_quick_profile_is_the_parameters_of_the_chapter(chapter, profile):
    cells = jupytext.read(ROOT / "notebooks" / f"{chapter}.py").cells
    (parameters,) = (cell.source for cell in cells if "parameters" in cell.metadata.get("tags", []))
    values = {}
    exec(parameters, values)  # assignments of plain values
    del values["__builtins__"]
    values = {name: value for name, value in values.items() if value is not None}
    assert values == read_yaml((ROOT / "notebooks" / "profiles" / f"{profile}.yml").read_text())


@named
def test_papermill_knows_every_parameter_and_a_cell_behind_refuses_others(path):
    """papermill leaves out of its list what it cannot parse, as a line with two equals signs."""
    cells = [cell for cell in jupytext.read(path.with_suffix(".py")).cells if cell.cell_type == "code"]
    (place,) = [number for number, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", [])]
    names = [target.id for line in ast.parse(cells[place].source).body for target in line.targets]
    assert list(inspect_notebook(path)) == names
    calls = ("jointens.check_parameters(globals())", "jointens.Experiment.from_namespace(globals())")
    assert any(call in cell.source for cell in cells[place + 1 :] for call in calls)
    for call in calls:
        with pytest.raises(InputError, match="unknown key 'lr'"):
            eval(call, {"jointens": jointens, "In": ["", cells[place].source, "# Parameters\nlr = 0.01"], "lr": 0.01})


@pytest.mark.parametrize("path", WITH_EXPERIMENT, ids=lambda path: path.stem)
def test_no_cell_behind_the_parameters_sets_a_key(path):
    """Running the cells again, in any order, must not change the experiment."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", []):
            code = "\n".join(line for line in cell.source.splitlines() if not line.startswith("%"))
            stored = {
                n.id for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            }
            assert not stored & set(Experiment.names())
            Experiment.from_namespace(dict.fromkeys(stored, 0))  # nor may a name look like a misspelt one


@named
def test_every_theorem_has_proof_check_falsifier_and_test(path):
    """In one cell the numbered block, its proof, the test's name and what would falsify it; the check in the next."""
    cells = nbformat.read(path, as_version=4).cells
    for cell, following in itertools.pairwise(cells):
        if "{prf:theorem}" not in cell.source:
            continue
        (theorem,) = theorems.theorems_of(cell.source)
        marks = (f":label: {theorem.label}", "{prf:proof}", "**Check.**", "**Falsified by**")
        assert sorted(marks, key=cell.source.index) == list(marks)
        assert theorem.falsifier and theorem.tests
        assert all(theorems.source_of(ROOT / "tests" / file, function) for file, function in theorem.tests)
        assert "nbval-check-output" in following.metadata.tags and "confirm(" in following.source
        assert re.search("(agree|hold) to 1e-10$", following.outputs[0].text, flags=re.M)


def test_a_test_that_is_not_there_is_told():
    with pytest.raises(LookupError, match="has no test test_nothing"):
        theorems.source_of(Path(__file__), "test_nothing")


def readme_commands():
    """The lines of the README's bash blocks, without comments."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    return [line.split(" # ")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


# What is added to a command so that it trains in seconds; its own arguments stand.
FEW = {"papermill": '-p num_epochs 2 -p seeds "[0, 1]"', "diabetes.yml": 'num_epochs=2 "seeds=[0,1]"'}
FEW_IMAGES = "train_size=10 val_size=10 test_size=10 num_epochs=1 num_learners=2 beta_vals=1 seeds=0 device=cpu"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What stands for runs/ in the README's commands."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def diabetes(runs, shell):
    """The results folder of the README's run on diabetes, which a later command shows."""
    (command,) = [line for line in readme_commands() if "tag=diabetes" in line]
    folder = Path(shell(f"{command} out={runs} {FEW['diabetes.yml']}").stdout.splitlines()[-1])
    assert folder == runs / "diabetes"
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", readme_commands())
def test_the_readmes_commands_run(command, runs, shell, request):
    program, *arguments = shlex.split(command)
    if program == "make":  # whole builds: that the target is there and can be planned
        shell(["make", "--dry-run", *arguments])
    elif program == ".":
        assert arguments == [".venv/bin/activate"]
    elif arguments[0] == "lab":
        shell([program, "lab", "--version"])
        assert (ROOT / arguments[1]).exists()
    elif "cifar" in command or "--released" in command:  # as it stands, but on few images that need no download
        keys = f"data_root={request.getfixturevalue('cifar10_root')} out={runs} {FEW_IMAGES}"
        configs = authors.write(runs / "configs" / "sweep", authors.SHIPPED)
        command = command.replace("joint-ensembles/src/configs/sweep", str(configs))
        shell(f"{command.replace('download=true', 'download=false')} {keys}")
    elif "tag=diabetes" in arguments:
        assert list(request.getfixturevalue("diabetes").glob("cells/*.json"))
    elif "show" in arguments:
        assert request.getfixturevalue("diabetes") == runs / arguments[-1].removeprefix("runs/")
        assert "β = 1" in shell(command.replace("runs/", f"{runs}/")).stdout
    else:
        assert program in ("papermill", "jointens")
        shell(f"{command.replace('runs/', f'{runs}/')} {FEW.get(program, '')}")


def test_the_readmes_python_runs():
    diagnosing, training = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    values = {}
    exec(diagnosing, values)
    assert values["loss"].ndim == 0
    values = {}
    exec(training, values)
    assert values["trained"].test["best"]["accuracy"] > 0.5


def test_the_folder_that_reproduce_loads_is_the_quick_profiles():
    (name,) = re.findall(r'jointens.load\("runs/(.+?)"', (ROOT / "book" / "reproduce.md").read_text())
    assert name == Experiment.from_profile(ROOT / "notebooks" / "profiles" / "digits.yml").name


@pytest.mark.book
def test_the_book_builds_without_a_warning(html):
    toc = read_yaml((ROOT / "_toc.yml").read_text())
    pages = [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]
    assert all((html / f"{page}.html").exists() for page in pages)


@pytest.mark.book
def test_the_books_pages_load_nothing_from_elsewhere(html):
    for page in html.rglob("*.html"):
        text = page.read_text()
        loaded = re.findall(r"<(?:script|img|iframe)[^>]*\ssrc=\"([^\"]+)\"", text)
        loaded += [
            link
            for tag in re.findall(r"<link[^>]*>", text)
            for link in re.findall(r"stylesheet.*href=\"([^\"]+)\"", tag)
        ]
        assert loaded or page.name == "index.html", page  # which only leads to the intro
        assert not [link for link in loaded if re.match(r"(https?:)?//", link)], page
        assert "THEBE_JS_URL" not in text
