"""Synthetic streets: pictures with exact depth, category labels and camera, for training and for
the demo.

`sample(seed)` gives one; `python -m cloudytools.scenes --count N --out DIR` writes many into
shards, which `load_shard(path)` reads.
"""

from cloudytools.scenes.sample import Sample, sample
from cloudytools.scenes.shards import Shard, load_shard

__all__ = ["Sample", "Shard", "load_shard", "sample"]
