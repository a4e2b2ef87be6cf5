"""When the rate falls and training stops: the authors' rule for ImageNet, lists of switches, Linear and none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jointens import Experiment
from jointens.sweeps import make_schedule


def course(experiment, shown):
    """The rate on the way to each validation, and whether training goes on after it, to its end."""
    schedule, rates, goes_on = make_schedule(experiment), [], []
    for is_best in shown:
        rates.append(schedule.rate)
        goes_on.append(schedule.after_validation(is_best))
        if not goes_on[-1]:
            break
    return rates, goes_on


def authors_course(shown, rate, gamma, lr_switch, max_patience):
    """Their rule once more, as one loop."""
    rates, goes_on, counter = [], [], 0
    for is_best in shown:
        rates.append(rate)
        if is_best:
            counter = 1
        else:
            counter += 1
            if max_patience is not None and (counter > max_patience or rate < 1e-8):
                return rates, [*goes_on, False]
        if counter % lr_switch == 0:
            rate *= gamma
        goes_on.append(True)
    return rates, goes_on


@settings(deadline=None, max_examples=200)
@given(
    shown=st.lists(st.sampled_from([True, False, False, False]), min_size=1, max_size=60),
    rate=st.sampled_from([0.1, 3e-7]),
    gamma=st.sampled_from([0.5, 0.2, 0.07]),
    lr_switch=st.integers(1, 8),
    max_patience=st.none() | st.integers(1, 20),
)
def test_a_single_number_is_the_authors_rule(shown, rate, gamma, lr_switch, max_patience):
    experiment = Experiment(learning_rate=rate, gamma=gamma, lr_switch=lr_switch, max_patience=max_patience)
    rates, goes_on = course(experiment, shown)
    expected, expected_on = authors_course(shown, rate, gamma, lr_switch, max_patience)
    assert goes_on == expected_on
    assert rates == pytest.approx(expected, rel=1e-9)


def test_the_authors_numbers_fall_5_and_11_validations_after_a_best_and_stop_at_the_15th():
    experiment = Experiment(learning_rate=1, gamma=0.1, lr_switch=6, max_patience=15)
    best, worse = 3, 30  # three new bests, then none any more
    rates, goes_on = course(experiment, [True] * best + [False] * worse)
    assert len(goes_on) == best + 15 and goes_on[-1] is False and all(goes_on[:-1])
    assert rates == pytest.approx([1] * (best + 5) + [0.1] * 6 + [0.01] * 4)


def test_a_new_best_begins_the_count_anew_and_leaves_the_rate_where_it_is():
    experiment = Experiment(learning_rate=1, gamma=0.1, lr_switch=6, max_patience=15)
    rates, goes_on = course(experiment, [True, *[False] * 14, True, *[False] * 20])
    assert len(goes_on) == 16 + 15
    assert rates == pytest.approx([1] * 6 + [0.1] * 6 + [0.01] * (4 + 5) + [0.001] * 6 + [0.0001] * 4)


def test_a_rate_next_to_nothing_ends_training_but_not_at_a_new_best():
    experiment = Experiment(learning_rate=1e-7, gamma=0.01, lr_switch=2, max_patience=15)
    rates, goes_on = course(experiment, [True, False, True, False])
    assert goes_on == [True, True, True, False] and rates == pytest.approx([1e-7, 1e-7, 1e-9, 1e-9])


def test_without_patience_training_never_stops():
    _, goes_on = course(Experiment(lr_switch=3), [False] * 60)
    assert all(goes_on) and len(goes_on) == 60


@pytest.mark.parametrize("shown", [[True] * 7, [False] * 7])
def test_a_list_of_switches_is_heeded_whatever_validations_show(shown):
    experiment = Experiment(learning_rate=1, gamma=0.5, lr_switch=[2, 5])
    assert not make_schedule(experiment).depends_on_validation
    rates, goes_on = course(experiment, shown)
    assert rates == [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25] and all(goes_on)


def test_patience_ends_training_on_a_list_of_switches_too():
    experiment = Experiment(learning_rate=1, gamma=0.5, lr_switch=[2, 5], max_patience=3)
    assert make_schedule(experiment).depends_on_validation
    assert course(experiment, [True, False, True, *[False] * 9]) == ([1, 1, 0.5, 0.5, 0.5, 0.25], [True] * 5 + [False])


def test_linear_with_a_number_has_its_switches_that_far_apart():
    experiment = Experiment(scheduler="Linear", learning_rate=1, lr_switch=3, num_epochs=11)
    assert experiment.switches == (3, 6, 9) and not make_schedule(experiment).depends_on_validation
    rates, _ = course(experiment, [True, False] * 6)
    assert rates == pytest.approx([1] * 3 + [0.75] * 3 + [0.5] * 3 + [0.25] * 3)


def test_linear_with_a_share_ends_at_the_last_rate_that_is_not_below_zero():
    experiment = Experiment(scheduler="Linear", learning_rate=1, lr_switch=1, num_epochs=6, factor=0.4)
    rates, _ = course(experiment, [False] * 6)
    assert rates == pytest.approx([1, 0.6, 0.2, 0.2, 0.2, 0.2])


@pytest.mark.parametrize("lr_switch", [None, [1, 2], 6], ids=str)
def test_none_keeps_the_rate(lr_switch):
    experiment = Experiment(scheduler="none", learning_rate=0.3, lr_switch=lr_switch)
    assert course(experiment, [True, False] * 10) == ([0.3] * 20, [True] * 20)


@pytest.mark.parametrize("lr_switch", [None, 2], ids=str)
def test_none_can_run_out_of_patience(lr_switch):
    experiment = Experiment(scheduler="none", learning_rate=0.3, lr_switch=lr_switch, max_patience=4)
    assert make_schedule(experiment).depends_on_validation
    assert course(experiment, [True, *[False] * 9]) == ([0.3] * 5, [True] * 4 + [False])


@pytest.mark.parametrize("keys", [{"lr_switch": 3}, {"lr_switch": [3, 7, 9]}, {"scheduler": "Linear"}], ids=str)
def test_a_schedule_goes_on_from_its_state(keys):
    experiment = Experiment(max_patience=6, **keys)
    shown = [True, False, False, False, True, False, False, False, False, False, False, False, False]
    whole, _ = course(experiment, shown)
    for done in range(len(whole)):
        first, second = make_schedule(experiment), make_schedule(experiment)
        for is_best in shown[:done]:
            first.after_validation(is_best)
        second.load_state(first.state())
        assert second.state() == first.state() and second.rate == first.rate == whole[done]
        ends = [[of.after_validation(is_best) for is_best in shown[done:]] for of in (first, second)]
        assert ends[0] == ends[1] and first.rate == second.rate
