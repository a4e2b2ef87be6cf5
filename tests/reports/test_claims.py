"""The ledger: claims are judged by their data, opposites and negative controls fail, wrong entries are refused."""

import dataclasses
import functools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import t

from jointens import InputError
from jointens.common import dump_yaml, read_yaml_file
from jointens.reports import claims, published, published_tables
from jointens.reports.claims_data import PublishedRuns, read_data
from jointens.reports.claims_verdict import (
    DIRECTION_ONLY,
    HOLDS,
    NOT_REPRODUCED,
    NOT_RUN,
    PROVED,
    REPRODUCED,
    SCALES,
    VERDICTS,
    Effect,
    Measured,
    judge,
    residual,
)

LEDGER = claims.read_claims()
by_id = pytest.mark.parametrize("claim", LEDGER, ids=lambda claim: claim.id)
measured = pytest.mark.parametrize(
    "claim", [claim for claim in LEDGER if not claim.is_exact], ids=lambda claim: claim.id
)
read = functools.cache(read_data)
FEW = {"count": 100, "seed": 1}  # other draws than the chapter's


@functools.cache
def judged(name):
    (claim,) = [claim for claim in LEDGER if claim.id == name]
    return claims.judge_claim(claim, read=read, **FEW)


@by_id
def test_a_verdict_follows_from_what_was_found(claim):
    """The rules once more, written apart from `judge`."""
    found, verdict = judged(claim.id).found, judged(claim.id).verdict.word
    assert verdict in VERDICTS
    if claim.is_exact:
        assert claim.links["theorem"]
        assert (verdict == PROVED) == (found.value <= 1e-10)
        return
    sign = {"higher": 1, "lower": -1}[claim.expected]
    ends = [sign * (effect.value - effect.threshold) - effect.half_width for effect in found.effects]
    if any(not end > 0 for end in ends):
        assert verdict == NOT_REPRODUCED
    elif found.missing or not ends:
        assert verdict == NOT_RUN
    else:
        same = all(effect.scale == claim.scale for effect in found.effects)
        assert verdict == (REPRODUCED if same else DIRECTION_ONLY)


@by_id
def test_the_opposite_of_a_claim_that_holds_fails(claim):
    opposite = claims.judge_claim(claim.reversed(), read=read, **FEW)
    assert not (opposite.verdict.holds and judged(claim.id).verdict.holds)
    assert claim.reversed().reversed() == claim
    if claim.is_exact:
        assert opposite.verdict.word == NOT_REPRODUCED


@by_id
def test_a_claim_does_not_hold_on_its_negative_control(claim):
    assert judged(claim.id).control.word in (NOT_REPRODUCED, NOT_RUN)
    if claim.is_exact:
        assert judged(claim.id).control.word == NOT_REPRODUCED


# ---- each check on data in which the claim is true, and in which it is false


def as_claimed(claim, size=1.0):
    """Read data in which the effect of a claim has the expected sign, by name; each at the scale of the real ones.

    At β = 0.1 nothing differs from β = 0; validation chooses β = 0.5.
    """
    up = {"higher": size, "lower": -size}[claim.expected]

    def reader(name):
        rng = np.random.default_rng(sum(map(ord, name)))
        rows = []
        for beta in (0.0, 0.1, 0.5, 0.95, 1.0):
            for seed in range(4):
                for checkpoint in ("best", "last"):
                    late = 1.5 if checkpoint == "last" else 1.0
                    moved = 0.0 if beta == 0.1 else (up + rng.normal(0, 0.01)) * late * beta
                    if claim.check["function"] == "ratio":
                        base, moved = 1.0, math.expm1(3 * moved)
                    else:
                        base = 2.0
                    value = base + moved
                    columns = dict.fromkeys(("train_ensemble", "individual_accuracy"), 0.0)
                    columns |= {"val_ensemble": abs(beta - 0.5)}
                    columns |= {"beta": beta, "seed": seed, "checkpoint": checkpoint, "diversity": value}
                    columns |= dict.fromkeys(("ensemble", "accuracy", "individual", "fall", "systematic_drift"), value)
                    metric = claim.check["metric"]
                    rows.append(columns | ({metric: value} if metric in columns else {}))
        if claim.check["function"] == "against":  # what stands at every β is the other data's, but for the claimed size
            other = name == claim.check["other"]
            size_here = 0.0 if "within" in claim.check else up
            for row in rows:
                row["accuracy"] = 2.0 + (0.0 if other else size_here) + 0.001 * row["seed"]
        return PublishedRuns(name, pd.DataFrame(rows), read(name).scale, 10, "cross_entropy")

    return functools.cache(reader)


@measured
def test_a_check_finds_what_is_there_and_its_opposite_where_that_is(claim):
    """Also of claims that nothing is published for."""
    told = claims.judge_claim(claim, read=as_claimed(claim))
    assert told.verdict.word in (REPRODUCED, DIRECTION_ONLY), told.verdict.reason
    opposite = claims.judge_claim(claim.reversed(), read=as_claimed(claim))
    assert opposite.verdict.word == NOT_REPRODUCED
    if "within" not in claim.check:
        turned = claims.judge_claim(claim, read=as_claimed(claim, size=-1.0))
        assert turned.verdict.word == NOT_REPRODUCED
        if set(claim.control) & {"beta"} and claim.check["function"] != "against":
            assert told.control.word == NOT_REPRODUCED


def test_effects_are_the_differences_within_seeds():
    (claim,) = [claim for claim in LEDGER if claim.id == "joint-lowers-accuracy"]
    tests = published.RESNET8.whole.tests()
    best = tests[tests["checkpoint"] == "best"].pivot(index="seed", columns="beta", values="accuracy")
    difference = (best[1.0] - best[0.0]).to_numpy()
    half_width = t.ppf(0.975, len(difference) - 1) * difference.std(ddof=1) / len(difference) ** 0.5
    small = dataclasses.replace(claim, check={**claim.check, "data": {"each_of": ["cifar10_resnet8-scores"]}})
    effect = claims.evidence(small).effects[0]
    assert (effect.value, effect.half_width) == pytest.approx((difference.mean(), half_width))
    assert effect.num_seeds == len(difference)


# ---- verdicts


def effect(value, half_width, scale="small", **more):
    return Effect(value, half_width, 5, "somewhere", scale, **more)


@pytest.mark.parametrize(
    ("effects", "missing", "scale", "word"),
    [
        ([effect(-2.0, 1.0)], (), "small", REPRODUCED),
        ([effect(-2.0, 1.0)], (), "CIFAR", DIRECTION_ONLY),  # of a smaller scale than the claim
        ([effect(-2.0, 1.0, "CIFAR")], (), "CIFAR", REPRODUCED),
        ([effect(-2.0, 1.0, "CIFAR"), effect(-2.0, 1.0)], (), "CIFAR", DIRECTION_ONLY),
        ([effect(-2.0, 1.0, "CIFAR")], (), "ImageNet", DIRECTION_ONLY),
        ([effect(-1.0, 1.0)], (), "small", NOT_REPRODUCED),  # the interval ends at zero
        ([effect(2.0, 1.0)], (), "small", NOT_REPRODUCED),
        ([effect(-2.0, math.nan)], (), "small", NOT_REPRODUCED),
        ([effect(math.nan, 1.0)], (), "small", NOT_REPRODUCED),
        ([effect(-2.0, 1.0), effect(-0.5, 1.0)], (), "small", NOT_REPRODUCED),
        ([effect(-2.0, 1.0, threshold=-1.5)], (), "small", NOT_REPRODUCED),
        ([effect(-2.0, 1.0, threshold=-0.5)], (), "small", REPRODUCED),
        ([effect(-2.0, 1.0, "ImageNet")], ("another",), "ImageNet", NOT_RUN),
        ([effect(2.0, 1.0, "ImageNet")], ("another",), "ImageNet", NOT_REPRODUCED),
        ([], ("another",), "ImageNet", NOT_RUN),
        ([], (), "ImageNet", NOT_RUN),
    ],
)
def test_verdicts_on_effects(effects, missing, scale, word):
    verdict = judge(Measured(tuple(effects), missing), "lower", scale)
    assert verdict.word == word and verdict.holds == (word in HOLDS)
    assert verdict.symbol == VERDICTS[word] and verdict.reason


@measured
def test_small_data_never_reproduce_a_claim_about_the_papers_scale(claim):
    def small(name):
        return as_claimed(claim)(name)._replace(scale="small")

    verdict = claims.judge_claim(dataclasses.replace(claim, scale="CIFAR"), read=small).verdict
    assert verdict.word == DIRECTION_ONLY


def test_a_run_has_the_papers_scale_if_its_setting_is_the_papers():
    from jointens.reports.claims_data import scale_of

    papers = published.Setting("cifar10_resnet18", "released").experiment
    assert scale_of(papers) == "CIFAR" and scale_of(published.RESNET8.experiment) == "small"
    assert scale_of(dataclasses.replace(papers, num_epochs=2)) == "small"
    assert scale_of(dataclasses.replace(papers, train_size=8000)) == "small"
    assert scale_of(published.Setting("imagenet_resnet18", "probabilities").experiment) == "ImageNet"
    assert scale_of(published_tables.published_experiment("abalone")) == "regression sets"
    assert set(SCALES) >= {claim.scale for claim in LEDGER}


@pytest.mark.parametrize(
    ("left", "relation", "value"),
    [(1.0, "=", 1.0), (1.0, "= −", 3.0), (2.0, "=", 0.0), (2.0, "<=", 0.0), (3.0, "<=", 1.0), (1.0, "<=", 0.0),
     (1.0, ">=", 1.0), (math.nan, "=", math.nan)],
)  # fmt: skip
def test_residuals(left, relation, value):
    two = torch.tensor([2.0, 2.0])
    sides = [(two, two if relation != "= −" else -two), (torch.tensor([left, 2.0]), two)]
    if relation == "= −":
        sides[1] = (torch.tensor([left, -2.0]), two)
    found = residual(sides, relation)
    assert found.value == pytest.approx(value, nan_ok=True) and found.compared == 4
    assert found.holds == (value == 0)


def test_nothing_compared_holds_nothing():
    assert not residual([]).holds
    with pytest.raises(ValueError, match="unknown relation '<'"):
        residual([], "<")
    with pytest.raises(ValueError, match=r"the sides are \(2,\) and \(3,\); allowed is one shape"):
        residual([(torch.zeros(2), torch.zeros(3))])


# ---- wrong entries


def entry(**changes):
    first = read_yaml_file(claims.repository() / "book" / "claims.yml")[0]
    return {key: value for key, value in {**first, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"control": None}, "lacks control"),
        ({"challenge": None, "place": None}, "lacks place, challenge"),
        ({"verdict": "reproduced"}, "unknown key 'verdict'"),
        ({"check": {"function": "squared_errors"}}, "unknown key 'squared_errors'; the nearest known one is"),
        ({"check": {"function": "squared_error", "center": "mean"}}, "unknown key 'center'"),
        ({"check": "squared_error"}, "check is 'squared_error'; allowed are keys and values"),
        ({"control": {"because": "it has no difference"}}, "control needs `because` and an option"),
        ({"expected": "lower"}, "do not fit the check squared_error"),
        ({"scale": "small"}, "do not fit the check squared_error"),
        ({"scale": "large"}, "scale is 'large'; allowed are any outputs, "),
        ({"expected": "smaller"}, "expected is 'smaller'; allowed are higher, lower"),
        ({"whose": "theirs"}, "whose is 'theirs'; allowed are paper, ours"),
        ({"links": {"chapter": "decomposition"}}, "links lack function, test, theorem"),
        ({"links": {"page": "decomposition"}}, "unknown key 'page'"),
        ({"scale": "small", "expected": "lower", "check": {"function": "difference", "metric": "accuracy"},
          "control": {"because": "swapped", "beta": 0}}, "the check difference lacks data"),
        ({"scale": "small", "expected": "lower", "control": {"because": "swapped", "beta": 0},
          "check": {"function": "difference", "metric": "accuracy", "data": {"each_of": ["cifar10_resnet9-scores"]}}},
         "unknown key 'cifar10_resnet9-scores'; the nearest known one is 'cifar10_resnet8-scores'"),
        ({"scale": "small", "expected": "lower", "control": {"because": "swapped", "beta": 0},
          "check": {"function": "against", "metric": "accuracy", "data": {"each_of": ["cifar10_cnn-scores"]}}},
         "the check against needs `other`"),
        ({"scale": "small", "expected": "lower", "control": {"because": "swapped", "beta": 0},
          "check": {"function": "difference", "metric": "accuracy", "data": ["cifar10_cnn-scores"]}},
         "allowed is a list of names below each_of or first_of or best_rate_of"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_refused_in_one_line(changes, message, tmp_path):
    file = tmp_path / "claims.yml"
    file.write_text(dump_yaml([entry(**changes)]))
    with pytest.raises(InputError) as refused:
        claims.read_claims(file)
    assert message in str(refused.value) and str(file) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_entry_that_is_right_is_read_and_a_second_of_its_id_is_refused(tmp_path):
    file = tmp_path / "claims.yml"
    file.write_text(dump_yaml([entry()]))
    assert claims.read_claims(file) == LEDGER[:1]
    file.write_text(dump_yaml([entry(), entry()]))
    with pytest.raises(InputError, match="squared-error-diversity: a second claim of this id"):
        claims.read_claims(file)
    file.write_text("claims: 3\n")
    with pytest.raises(InputError, match="is no list of claims"):
        claims.read_claims(file)
