"""The five families, each with its network, loss, figures, pictures and model card."""

from cloudytools.experiment import (
    Experiment,
    MetricDepth,
    Relative,
    Segmentation,
    Street,
)
from cloudytools.tasks.depth import DepthTask
from cloudytools.tasks.relative import RelativeTask
from cloudytools.tasks.segmentation import SegmentationTask
from cloudytools.tasks.street import StreetTask
from cloudytools.tasks.task import Task
from cloudytools.tasks.two_input import TwoInputTask

__all__ = ["Task", "task_of"]


def task_of(experiment: Experiment) -> Task:
    """The family of an experiment, its weights still random. Raises ConfigError, ModelError."""
    wanted, valid_range_m = experiment.task, experiment.valid_range_m
    match wanted:
        case Street():
            return StreetTask(wanted, valid_range_m)
        case MetricDepth():
            return DepthTask(wanted, valid_range_m)
        case Relative():
            return RelativeTask(wanted)
        case Segmentation():
            return SegmentationTask(wanted)
        case _:
            return TwoInputTask(wanted, valid_range_m)
