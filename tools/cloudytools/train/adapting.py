"""A trained street network goes from rendered pictures to real ones, of which nothing is known.

Batch normalisation's statistics move a part of the way to those of the real pictures (Li et al.,
Adaptive Batch Normalization, 2018). That alone draws everything nearer or farther and blurs the
categories' borders, so the last layer then learns anew from the rendered pictures, the rest fixed.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cloudytools.batches import Batch, Plain, measuring_loader
from cloudytools.data import Streets
from cloudytools.data.unlabelled import samples_of
from cloudytools.experiment import Adapt, Experiment
from cloudytools.models import StreetNet


def adapt(network: StreetNet, experiment: Experiment, wanted: Adapt) -> None:
    """Move the statistics, and leave the last layer alone to learn.

    Raises SourceError, ConfigError where the real pictures cannot be read.
    """
    move_statistics(network, _batches(experiment, wanted), wanted.share)
    fix_all_but_last(network)


def move_statistics(network: nn.Module, batches: Iterator[Batch], share: float) -> None:
    """Means and variances of all batch normalisations: this share of the way to the batches'.

    The network calculates with its new statistics from then on: it is left in evaluation mode.
    """
    norms = [one for one in network.modules() if isinstance(one, _BatchNorm)]
    before = [(_known(one.running_mean).clone(), _known(one.running_var).clone()) for one in norms]
    for one in norms:
        one.reset_running_stats()
        one.momentum = None  # the plain mean over all batches
    network.train()
    with torch.no_grad():
        for batch in batches:
            network(batch.image, batch.geometry)
    network.eval()
    for one, (mean, variance) in zip(norms, before, strict=True):
        _known(one.running_mean).lerp_(mean, 1 - share)
        _known(one.running_var).lerp_(variance, 1 - share)


def fix_all_but_last(network: StreetNet) -> None:
    """Nothing but the last layer, which writes depth and scores, learns; statistics stay."""
    network.requires_grad_(False)
    network.last.requires_grad_(True)
    network.eval()


def _batches(experiment: Experiment, wanted: Adapt) -> Iterator[Batch]:
    """The real pictures at the last stage's size, some of them without the ground channel."""
    samples = [sample for source in wanted.sources for sample in samples_of(source)]
    size, random = experiment.stages[-1], torch.Generator().manual_seed(experiment.seed)
    plain = Plain(Streets(samples, "real"), size, geometry=True)
    every = experiment.data.model_copy(update={"validation_pictures": 0})
    drop = experiment.augmentation.drop_ground
    for batch in measuring_loader(plain, size, every):
        batch.geometry[torch.rand(len(batch.geometry), generator=random) < drop, 2] = 0
        yield batch


def _known(statistics: Tensor | None) -> Tensor:
    assert statistics is not None
    return statistics
