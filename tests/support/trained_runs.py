"""What training leaves of an experiment's cells, without a folder."""

import torch

from jointens.sweeps import make_trainer


def train(experiment, cells=None):
    return make_trainer(experiment, cells or experiment.cells).run()


def weights_close(one, other, tolerance):
    for name in one.weights:
        torch.testing.assert_close(one.weights[name], other.weights[name], rtol=0, atol=tolerance)
