import pytest

from jointens import Experiment


@pytest.fixture
def tiny(tmp_path):
    """Makes experiments that train in a fraction of a second, in a folder of the test's own."""

    def make(**keys) -> Experiment:
        small = {
            "train_size": 64,
            "hidden": [8],
            "num_learners": 2,
            "num_epochs": 2,
            "seeds": [0, 1],
            "beta_vals": [0, 1],
        }
        return Experiment(**{"out": str(tmp_path / "runs"), "device": "cpu", **small, **keys})

    return make
