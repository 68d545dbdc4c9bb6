"""Datasets in their official layouts, all read the same way, without torch.

    dataset = data.open("cityscapes", Path("cityscapes"), "train")
    sample = dataset[0]              # picture, depth_m, labels, camera, as far as they are known

`python -m cloudytools.data` fetches, inspects and makes them. Kinds: cityscapes, diode, redweb,
composed (cut-outs on backgrounds) and streets (rendered).
"""

from cloudytools.data.opening import KINDS, open
from cloudytools.data.sample import Dataset, Sample
from cloudytools.data.streets import Streets

__all__ = ["KINDS", "Dataset", "Sample", "Streets", "open"]
