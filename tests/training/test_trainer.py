"""The loop: paired runs, stacked runs, schedules, the best checkpoint, the fair learning rate."""

import pytest
import torch
from trained_runs import train, weights_close

import jointens
from jointens import Cell, Ensemble, Experiment, InputError, decompose, joint_objective, make_learner
from jointens.common import choose_device
from jointens.data import DATASETS
from jointens.sweeps import load_data, make_schedule, make_trainer
from jointens.training import Trainer


@pytest.mark.parametrize("average", ["scores", "probabilities", "released"])
def test_stacked_training_is_looped_training(tiny, average):
    stacked, looped = (train(tiny(average=average, beta_vals=[0, 0.5, 1], stack=stack)) for stack in (True, False))
    for one, other in zip(stacked, looped, strict=True):
        weights_close(one, other, 1e-5)
        for split in ("train", "val"):
            for metric in ("individual", "ensemble", "diversity", "accuracy"):
                ours, theirs = one.history[split][metric], other.history[split][metric]
                assert ours == pytest.approx(theirs, abs=1e-5), (split, metric)


def test_runs_in_a_stack_do_not_touch_each_other(tiny):
    experiment = tiny(seeds=[0, 1], beta_vals=[0, 0.5, 2])
    for cell, together in zip(experiment.cells, train(experiment), strict=True):
        (alone,) = train(experiment, [cell])
        weights_close(alone, together, 1e-5)


def test_two_betas_of_a_seed_start_from_the_same_weights_and_see_the_same_data(tiny):
    """With the smallest rate there is, nothing moves: all β of a seed then have the same losses at every epoch."""
    experiment = tiny(learning_rate=1e-30, beta_vals=[0, 0.5, 1])
    runs = list(zip(experiment.cells, train(experiment), strict=True))
    by_seed = {seed: [run for cell, run in runs if cell.seed == seed] for seed in (0, 1)}
    for first, *others in by_seed.values():
        for other in others:
            weights_close(first, other, 0)
            assert other.history["val"]["ensemble"] == pytest.approx(first.history["val"]["ensemble"])
    assert by_seed[0][0].history["val"]["ensemble"] != by_seed[1][0].history["val"]["ensemble"]


def test_two_betas_of_a_seed_see_the_examples_in_the_same_order(tiny):
    """β = 1e-9 is β = 0 to rounding, so that only another order could lead the two apart."""
    zero, almost, other = train(tiny(num_epochs=3), [Cell(0.0, 0), Cell(1e-9, 0), Cell(0.0, 1)])
    weights_close(zero, almost, 1e-5)
    with pytest.raises(AssertionError):
        weights_close(zero, other, 1e-5)


def test_at_beta_zero_learners_do_not_depend_on_m(tiny):
    """Independent training: with the rate of a solo run, the first two of four learners are the two of a pair."""
    (pair,) = train(tiny(num_learners=2, rate_per_learner=True), [Cell(0.0, 0)])
    (four,) = train(tiny(num_learners=4, rate_per_learner=True), [Cell(0.0, 0)])
    last = [cell.outputs["test_outputs_last"] for cell in (pair, four)]
    torch.testing.assert_close(last[0], last[1][:2], rtol=0, atol=1e-4)


@pytest.mark.parametrize("factor", [1, 3])
def test_a_learner_of_m_trains_as_if_alone_at_other_rates(factor):
    """In float64, M = 3: on ind, alone at (rate / M, M · decay); on M · ind, alone at (rate, decay)."""
    learners = [make_learner("MLP", (4,), 3, hidden=[8]).double() for _ in range(3)]
    chance = torch.Generator().manual_seed(0)
    inputs = torch.randn(40, 8, 4, generator=chance, dtype=torch.float64)
    targets = torch.randint(3, (40, 8), generator=chance)

    def trained(members, rate, decay, times):
        ensemble = Ensemble(members)
        optimiser = torch.optim.SGD(ensemble.parameters(), lr=rate, weight_decay=decay, momentum=0.9)
        for x, y in zip(inputs, targets, strict=True):
            optimiser.zero_grad()
            (times * joint_objective(decompose(ensemble(x), y), 0.0).mean()).backward()
            optimiser.step()
        return ensemble.weights()

    together = trained(learners, 0.3, 1e-2, times=factor)
    for index, learner in enumerate(learners):
        alone = trained([learner], 0.3 * factor / 3, 1e-2 * 3 / factor, times=1)
        for name, weight in together.items():
            torch.testing.assert_close(weight[index], alone[name][0], rtol=0, atol=1e-10)


def test_the_first_of_five_trains_as_the_only_one_at_a_fifth_of_the_rate(tiny):
    """The same through the trainer, in float32: their outputs at the end."""
    (five,) = train(tiny(num_learners=5, learning_rate=0.1, weight_decay=5e-4), [Cell(0.0, 0)])
    (one,) = train(tiny(num_learners=1, learning_rate=0.02, weight_decay=2.5e-3), [Cell(0.0, 0)])
    last = [cell.outputs["test_outputs_last"][0] for cell in (five, one)]
    torch.testing.assert_close(*last, rtol=0, atol=1e-5)


def test_rate_per_learner_is_m_times_the_rate_and_a_share_of_the_decay(tiny):
    """For SGD, M × the loss with (rate, decay) takes the steps of the plain loss with (M · rate, decay / M)."""
    (fair,) = train(tiny(learning_rate=0.02, weight_decay=0.01, rate_per_learner=True), [Cell(0.5, 0)])
    (plain,) = train(tiny(learning_rate=0.04, weight_decay=0.005), [Cell(0.5, 0)])
    weights_close(fair, plain, 1e-5)


def test_training_lowers_the_objective_and_the_last_outputs_match_the_history(tiny):
    experiment = tiny(num_epochs=15, beta_vals=[0.5])
    for cell in train(experiment):
        objective = cell.history["objective"]
        assert objective[-1] < 0.9 * objective[0]
        assert len(objective) == len(cell.history["val"]["ensemble"]) == 15
        outputs, targets = cell.outputs["val_outputs_last"], cell.outputs["val_targets"]
        accuracy = (outputs.mean(0).argmax(-1) == targets).float().mean().item()
        assert cell.history["val"]["accuracy"][-1] == pytest.approx(accuracy, abs=1e-6)


def test_the_best_checkpoint_has_the_lowest_validation_ensemble_loss(tiny):
    for cell in train(tiny(num_epochs=25, train_size=30, label_noise=0.5, learning_rate=0.5, scheduler="none")):
        losses = cell.history["val"]["ensemble"]
        assert cell.best_epoch == 1 + losses.index(min(losses))
        outputs, targets = cell.outputs["val_outputs_best"], cell.outputs["val_targets"]
        assert torch.nn.functional.cross_entropy(outputs.mean(0), targets).item() == pytest.approx(
            min(losses), abs=1e-5
        )


def test_the_smaller_last_batch_is_kept(tiny):
    """64 examples in batches of 60: an epoch is two steps, and the second of them moves the weights, too."""
    steps = []
    trainer = make_trainer(tiny(batch_size=60, num_epochs=1), [Cell(0.0, 0)])
    trainer.optimiser.register_step_post_hook(lambda *_: steps.append(1))
    trainer.run()
    assert len(steps) == 2


def test_the_rate_falls_after_the_switches(tiny):
    experiment = tiny(num_epochs=10, learning_rate=1.0, gamma=0.5, lr_switch=[2, 5])
    rate_before = make_schedule(experiment).rate_before
    assert [rate_before(epoch) for epoch in (1, 2, 3, 5, 6, 10)] == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert make_schedule(tiny(scheduler="none", learning_rate=1.0)).rate_before(10) == 1
    assert train(experiment, [Cell(0.0, 0)])[0].history["learning_rate"][2] == 0.5


@pytest.mark.parametrize(
    "keys",
    [
        {"scheduler": "ExponentialLR", "gamma": 0.3, "lr_switch": [2, 5]},
        {"scheduler": "Linear", "factor": 0.25, "lr_switch": [1, 2, 4, 5, 7]},
        {"scheduler": "Linear", "factor": 0.3, "lr_switch": [1, 2, 3, 5, 6]},  # 1 / factor is no whole number
        {"scheduler": "Linear"},
    ],
)
def test_schedules_are_those_of_pytorch_stepped_at_the_switches(tiny, keys):
    """As in the authors' sweep: its scheduler takes a step after each epoch that is in lr_switch."""
    experiment = tiny(num_epochs=8, learning_rate=0.5, **keys)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedule = make_schedule(experiment)
    if experiment.scheduler == "Linear":
        total = 1 / experiment.fall
        scheduler = torch.optim.lr_scheduler.LinearLR(optimiser, start_factor=1, end_factor=0, total_iters=total)
    else:
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimiser, experiment.gamma)
    for epoch in range(1, 9):
        assert schedule.rate_before(epoch) == pytest.approx(optimiser.param_groups[0]["lr"], abs=1e-12), epoch
        optimiser.step()
        if epoch in experiment.switches:
            scheduler.step()


@pytest.mark.parametrize("optimiser", ["SGD", "Adam", "RMSprop"])
def test_optimisers_are_pytorchs_with_the_keys_of_the_experiment(tiny, optimiser):
    experiment = tiny(optimiser=optimiser, weight_decay=0.01, momentum=0.7, learning_rate=0.02)
    trainer = make_trainer(experiment, [Cell(0.0, 0)])
    (group,) = trainer.optimiser.param_groups
    assert type(trainer.optimiser) is getattr(torch.optim, optimiser)
    assert (group["lr"], group["weight_decay"], group.get("momentum", 0.7)) == (0.02, 0.01, 0.7)


def images(small_sets, **keys):
    small = {"train_size": 40, "val_size": 20, "test_size": 20, "num_epochs": 2, "num_learners": 2, "batch_size": 16}
    return Experiment(
        dataset="CIFAR-10",
        base_learner="CNN",
        device="cpu",
        **{"data_root": small_sets, "seeds": [0, 1], **small, **keys},
    )


def test_images_are_augmented_the_same_for_every_beta_and_anew_in_every_epoch(small_sets, monkeypatch):
    seen = []

    objective = Trainer._objective

    def watched(self, batch):
        seen.append(batch.inputs.clone())  # (R, B, 3, 32, 32)
        return objective(self, batch)

    monkeypatch.setattr(Trainer, "_objective", watched)
    experiment = images(small_sets, train_size=16)
    train(experiment, [Cell(0.0, 0), Cell(1.0, 0), Cell(0.0, 1)])
    first, second = seen
    assert torch.equal(first[0], first[1])  # β = 0 and β = 1 of seed 0
    still = load_data(experiment, 0).train.inputs
    still = DATASETS["CIFAR-10"].prepare(still)
    for inputs in (first[0], first[2], second[0]):
        assert not any((image == other).all() for image in inputs for other in still)
    of_seeds = [{tuple(image.flatten().tolist()) for image in inputs} for inputs in (first[0], first[2], second[0])]
    assert not of_seeds[0] & of_seeds[1] and not of_seeds[0] & of_seeds[2]
    seen.clear()
    train(experiment, [Cell(0.5, 0)])
    assert torch.equal(seen[0][0], first[0])  # from the seed alone


def test_image_runs_in_a_stack_are_those_trained_alone(small_sets, monkeypatch):
    """With label noise, so that the seeds share the images and not the labels; without dropout, which is drawn anew."""
    for kind in (torch.nn.Dropout, torch.nn.Dropout2d):
        monkeypatch.setattr(kind, "__init__", lambda self, p, kind=kind: super(kind, self).__init__(0.0))
    experiment = images(small_sets, label_noise=0.5, beta_vals=[0, 1])
    together = train(experiment)
    assert together[0].outputs["val_targets"].tolist() != together[2].outputs["val_targets"].tolist()
    for cell, run in zip(experiment.cells, together, strict=True):
        (alone,) = train(experiment, [cell])
        weights_close(alone, run, 1e-5)


def test_images_are_read_before_anything_is_written(small_sets, tmp_path):
    experiment = images(small_sets, out=str(tmp_path / "runs"), data_root=str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="nowhere/cifar-10-batches-py/data_batch_1 is missing"):
        jointens.run(experiment, progress=False)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("optimiser", ["SGD", "Adam"])
def test_regression(tiny, optimiser):
    rates = {"SGD": 0.05, "Adam": 0.01}
    experiment = tiny(
        dataset="diabetes", train_size=None, optimiser=optimiser, learning_rate=rates[optimiser], num_epochs=10
    )
    for cell in train(experiment):
        assert cell.history["train"]["ensemble"][-1] < cell.history["train"]["ensemble"][0]
        assert "accuracy" not in cell.test["best"]
        assert cell.outputs["test_outputs_best"].shape == (2, 89, 1)


def test_devices():
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(InputError, match="device is 'tpu'; allowed are auto, cpu, cuda and cuda:N"):
        choose_device("tpu")
    with pytest.raises(InputError, match="CUDA devices, use device=cpu"):
        choose_device(f"cuda:{torch.cuda.device_count()}")


def test_the_test_part_is_measured_at_each_validation_if_asked_and_decides_nothing(tiny):
    (plain,), (told,) = (train(tiny(measure_test=asked, beta_vals=[1], seeds=[0])) for asked in (False, True))
    assert "test" not in plain.history
    for metric in ("individual", "ensemble", "diversity", "accuracy"):
        course = told.history["test"][metric]
        assert course[-1] == told.test["last"][metric] and course[told.best_epoch - 1] == told.test["best"][metric]
    assert told.best_epoch == plain.best_epoch
    assert told.history["val"] == plain.history["val"] and told.test == plain.test
    weights_close(plain, told, 0)


def test_images_in_files_have_no_test_part_to_measure():
    with pytest.raises(InputError, match="the test part of toy-imagenet is the validation part: use false"):
        Experiment(dataset="toy-imagenet", base_learner="CNN", measure_test=True)
