"""Tests of the criteria: no alarms for independently trained ensembles, alarms for trained and planted collusion."""

import functools
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import scale

import jointens
from jointens import Experiment, debias, diagnose, drop_learners, ensemble_output
from jointens.diagnostics import statistics


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """Few subsets; and one thread, since two busy threads wait for each other at every small step."""
    monkeypatch.setattr(statistics, "REPEATS", 10)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# ---- trained independently


@functools.cache
def diabetes():
    """Train six MLPs and six trees on diabetes; returns their outputs on test data, and its targets."""
    inputs, targets = map(scale, load_diabetes(return_X_y=True))
    order = np.random.default_rng(0).permutation(len(inputs))
    train, test = order[:222], order[222:]
    options = {"hidden_layer_sizes": (32,), "learning_rate_init": 0.01, "max_iter": 60}
    outputs = _train(inputs[train], targets[train], inputs[test], MLPRegressor, RandomForestRegressor, options)
    return outputs, targets[test]


@functools.cache
def digits():
    """Do the same for digits, with log-probabilities as outputs."""
    inputs, targets = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(inputs))
    train, test = order[:400], order[400:800]
    options = {"hidden_layer_sizes": (32,), "learning_rate_init": 0.01, "max_iter": 15}
    inputs = inputs / 16
    outputs = _train(inputs[train], targets[train], inputs[test], MLPClassifier, RandomForestClassifier, options)
    return outputs, targets[test]


def _train(inputs, targets, test, mlp_class, forest_class, options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # convergence is not needed
        mlps = [mlp_class(random_state=seed, **options).fit(inputs, targets) for seed in range(6)]
    trees = forest_class(6, max_depth=7, random_state=0).fit(inputs, targets).estimators_
    if mlp_class is MLPRegressor:
        return [np.stack([learner.predict(test) for learner in learners]) for learners in (mlps, trees)]
    probabilities = [np.stack([learner.predict_proba(test) for learner in learners]) for learners in (mlps, trees)]
    return [np.log(values + 1e-3) for values in probabilities]


SETS = {"squared_error": diabetes, "cross_entropy": digits}


@pytest.mark.parametrize("loss", SETS)
@pytest.mark.parametrize("kind", [0, 1], ids=["mlps", "trees"])
def test_independent_learners_raise_no_alarm_with_or_without_a_reference(loss, kind):
    (outputs, targets), average = (SETS[loss]()[0][kind], SETS[loss]()[1]), "probabilities" if kind else "scores"
    assert diagnose(outputs, targets, loss=loss, average=average).alarms == ()
    for half, other in ((outputs[:3], outputs[3:]), (outputs[3:], outputs[:3])):
        report = diagnose(half, targets, loss=loss, average=average, reference=other)
        assert report.alarms == () and report.verdict == "No sign of collusion."


ACCURACY = "accuracy lost, beyond reference"


def trained(tmp_path, **keys):
    """Train one seed at β = 0 and 1, or at `beta_vals`; returns each β's outputs at the last epoch, and targets."""
    small = {
        "num_learners": 5,
        "hidden": [16],
        "num_epochs": 15,
        "optimiser": "Adam",
        "seeds": [0],
        "device": "cpu",
        "val_size": 60,
    }
    results = jointens.run(Experiment(**small | {"out": str(tmp_path), "beta_vals": [0, 1]} | keys), progress=False)
    stored = jointens.stored_outputs(results)
    return [stored.read(beta, 0)[0] for beta in stored.betas], stored.read(0, 0)[1]


@pytest.mark.parametrize(
    "keys",
    [
        {"dataset": "digits", "train_size": 200, "test_size": 300, "num_epochs": 10, "optimiser": "SGD"},
        {
            "dataset": "digits",
            "train_size": 200,
            "test_size": 300,
            "num_epochs": 15,
            "learning_rate": 0.01,
            "label_noise": 0.2,
        },
        {"dataset": "diabetes", "num_epochs": 3, "learning_rate": 0.01},
    ],
)
def test_briefly_trained_independent_learners_raise_no_alarm(tmp_path, keys):
    """They differ by little, and mostly by their initialisation: that is no collusion."""
    (outputs,), targets = trained(tmp_path, beta_vals=[0], **keys)
    loss = "squared_error" if keys["dataset"] == "diabetes" else "cross_entropy"
    assert diagnose(outputs, targets, loss=loss).alarms == ()


@pytest.mark.parametrize(
    ("loss", "keys", "caught"),
    [
        ("squared_error", {"dataset": "diabetes", "learning_rate": 0.03}, set()),
        (
            "cross_entropy",
            {"dataset": "digits", "train_size": 400, "test_size": 300, "learning_rate": 0.01},
            {ACCURACY},
        ),
    ],
)
def test_joint_training_raises_alarms_and_independent_training_does_not(tmp_path, loss, keys, caught):
    (independent, joint), targets = trained(tmp_path, **keys)
    assert diagnose(independent, targets, loss=loss).alarms == ()
    assert set(diagnose(joint, targets, loss=loss).alarms) >= {"constant shifts", "systematic drift"}
    report = diagnose(joint, targets, loss=loss, reference=independent)
    assert set(report.alarms) >= {"paid back", "systematic drift"} | caught
    assert report.verdict.startswith("Signs of collusion: ") and report["paid back"].value > 0.75


# ---- planted collusion: perturbations that cancel in the average


def zero_sum(*shape, seed=0):
    values = np.random.default_rng(seed).normal(size=shape)
    return values - values.mean(0)


def planted(loss):
    """Return independent MLPs' outputs, their average, and the targets."""
    (outputs, _), targets = SETS[loss]()
    return outputs, outputs.mean(0), targets


def test_planted_constant_shifts_raise_alarms():
    outputs, _, targets = planted("squared_error")
    report = diagnose(outputs + zero_sum(6, 1), targets, loss="squared_error", reference=outputs)
    assert set(report.alarms) >= {"constant shifts", "paid back"} and report["constant shifts"].value > 0.85
    assert "constant shift of each, which cancels in the average" in report["constant shifts"].sentence
    debiased = debias((outputs + zero_sum(6, 1))[..., None])
    mended = diagnose(debiased, targets, loss="squared_error", reference=outputs)
    assert mended.alarms == ()


def test_planted_shifts_of_probabilities_raise_alarms():
    """Learner i predicts its own classes too often: the first 0 and 6, the next 1 and 7, …"""
    outputs, _, targets = planted("cross_entropy")
    own = np.arange(10) % 6 == np.arange(6)[:, None]  # (M, K)
    shifted = 0.6 * np.exp(outputs) + 0.4 * (own / own.sum(1, keepdims=True))[:, None]
    report = diagnose(np.log(shifted), targets, loss="cross_entropy", average="probabilities")
    assert "constant shifts" in report.alarms


def test_planted_stretches_of_the_same_answer_raise_alarms():
    outputs, mean, targets = planted("squared_error")
    report = diagnose(outputs + 1.5 * zero_sum(6, 1) * (mean - mean.mean()), targets, loss="squared_error")
    assert report.alarms[0] == "systematic drift" and report["constant shifts"].value < 0.15
    assert "can be read off their mean prediction" in report["systematic drift"].sentence
    logits, joint, classes = planted("cross_entropy")
    probabilities = np.exp(joint) / np.exp(joint).sum(-1, keepdims=True)
    stretched = logits + 4 * zero_sum(6, 1, 1) * probabilities  # some exaggerate, some understate
    assert "systematic drift" in diagnose(stretched, classes, loss="cross_entropy").alarms


def test_planted_errors_that_cancel_raise_alarms():
    outputs, mean, targets = planted("squared_error")
    noisy = outputs + 4 * zero_sum(6, len(targets))
    report = diagnose(noisy, targets, loss="squared_error")
    assert report.alarms == ("error correlation",) and report["error correlation"].value < 0
    assert "make up for each other better than if they had nothing in common" in report["error correlation"].sentence
    drifting = outputs + 20 * zero_sum(6, 1) * mean
    report = diagnose(drifting, targets, loss="squared_error")  # six stretches, which may also cancel by chance
    assert "systematic drift" in report.alarms and report["error correlation"].high < 0
    independent = targets + np.random.default_rng(1).normal(size=(6, len(targets)))  # uncorrelated errors
    assert diagnose(independent, targets, loss="squared_error").alarms == ()


@pytest.mark.parametrize("loss", SETS)
def test_planted_diversity_without_information_is_fully_paid_back(loss):
    """It differs between examples and cancels in the average of scores: the ensemble equals the reference's."""
    outputs, _, targets = planted(loss)
    noisy = outputs + (0.5 if loss == "squared_error" else 2) * zero_sum(*outputs.shape)
    report = diagnose(noisy, targets, loss=loss, reference=outputs)
    assert "paid back" in report.alarms and "systematic drift" not in report.alarms
    assert report["paid back"].value == pytest.approx(1, abs=1e-10)
    text = "100 % of the extra diversity is paid back by a larger individual loss: little of it reaches the ensemble."
    assert report["paid back"].sentence == text
    assert report["ensemble loss, below reference"].value == pytest.approx(0, abs=1e-10)
    backwards = diagnose(outputs, targets, loss=loss, reference=noisy)
    assert backwards.alarms == () and backwards["diversity, ratio to reference"].high < 1


def test_diversity_that_reaches_the_ensemble_is_no_sign():
    """Independent errors at the same individual loss: more diversity, none of it paid back."""
    targets = np.linspace(-1, 1, 300)
    common, own = np.random.default_rng(0).normal(size=300), np.random.default_rng(1).normal(size=(5, 300))
    alike, apart = targets + 0.9**0.5 * common + 0.1**0.5 * own, targets + own
    report = diagnose(apart, targets, loss="squared_error", reference=alike)
    assert report.alarms == () and report["diversity, ratio to reference"].low > 5
    assert abs(report["paid back"].value) < 0.2 and report["ensemble loss, below reference"].low > 0


def test_learners_that_only_work_together_raise_alarms():
    """Each has scores for some classes only; their average is that of the reference."""
    logits, mean, targets = planted("cross_entropy")
    own_classes = np.arange(10) % 6 == np.arange(6)[:, None]
    parts = 6 * np.where(own_classes[:, None], mean - mean.mean(-1, keepdims=True), 0)
    report = diagnose(parts, targets, loss="cross_entropy", reference=logits)
    assert set(report.alarms) >= {ACCURACY, "paid back"} and report[ACCURACY].value > 0.05
    assert report["ensemble loss, below reference"].value == pytest.approx(0, abs=1e-10)
    lost = report["accuracy lost, without 2 of 6"]
    error_rate = (ensemble_output(torch.from_numpy(parts)).argmax(-1).numpy() != targets).mean()
    drawn = drop_learners(parts, targets, keep=4, loss="zero_one", generator=torch.Generator().manual_seed(3))
    assert lost.value == pytest.approx(drawn, abs=0.03) and error_rate < 0.2


def shifted(seed, number=5):
    """Draw learners that are right up to a random constant each, and the targets."""
    rng = np.random.default_rng(seed)
    return (targets := rng.normal(size=30)) + rng.normal(size=(number, 1)), targets


def test_constants_that_cancel_by_chance_are_no_sign():
    """Their correlation does not vary over the examples; it is below zero only by the choice of learners."""
    findings = [diagnose(*shifted(seed), loss="squared_error")["error correlation"] for seed in range(50)]
    assert sum(finding.high < 0 for finding in findings) > 20 and sum(finding.alarm for finding in findings) <= 5


@pytest.mark.parametrize("number", [2, 3, 6, 20])
def test_the_alarm_for_cancelling_errors_includes_both_uncertainties(number):
    alarms = []
    for seed in range(40):
        noise, targets = np.random.default_rng(seed).normal(size=(number, 12)), np.linspace(-1, 1, 12)
        outputs = targets + noise - noise.mean(0) * seed / 40  # part of the mean error is removed
        found = diagnose(outputs, targets, loss="squared_error")["error correlation"]
        errors = outputs - targets
        spread = np.inf
        if number > 2:
            jackknife = [np.delete(errors, learner, 0) for learner in range(number)]
            ratios = [others.sum(0) @ others.sum(0) / (others**2).sum() for others in jackknife]
            spread = 1.96 * (np.var([(ratio - 1) / (number - 2) for ratio in ratios]) * (number - 1)) ** 0.5
        alarms.append(found.alarm)
        assert found.alarm == (found.value + np.hypot(found.high - found.value, spread) < 0)
    assert any(alarms) == (number > 2) and not all(alarms)
