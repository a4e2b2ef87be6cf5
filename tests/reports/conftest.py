"""A trained run on small images that several files look at."""

import pytest


@pytest.fixture(scope="session")
def toy_run(toy_root, once):
    """Results of three MLPs on toy-imagenet: two seeds, three β, six validations. Not to be changed."""
    import jointens

    def experiment(out):
        return jointens.Experiment(
            dataset="toy-imagenet", base_learner="MLP", hidden=[8], image_size=32, num_learners=3,
            average="probabilities", train_size=96, val_size=48, batch_size=16, validate_every=2, num_epochs=2,
            measured_size=24, seeds=[0, 1], beta_vals=[0, 0.5, 1], learning_rate=0.05, device="cpu",
            data_root=str(toy_root), out=str(out),
        )  # fmt: skip

    out = once("toy-run", lambda out: jointens.run(experiment(out), progress=False))
    return jointens.Results(experiment(out))
