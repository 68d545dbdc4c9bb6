"""What training makes small, each a plain function of tensors; `cloudytools.tasks` weighs them.

Pixels without truth have no effect, not even on the gradient; a batch without any costs 0.
"""

from cloudytools.losses.categories import categories, dice, focal, mask_entropy_and_dice
from cloudytools.losses.depth import (
    gradient_matching,
    l1,
    log_l1,
    scale_and_shift_invariant,
    scale_invariant_log,
    smoothness,
    structural,
)
from cloudytools.losses.ranking import Pairs, guided_pairs, joined, random_pairs, ranking
from cloudytools.losses.regions import ordinal_nearness, ordinal_regression
from cloudytools.losses.street import SKY_BEYOND_M, sky_far, street_loss

__all__ = [
    "SKY_BEYOND_M",
    "Pairs",
    "categories",
    "dice",
    "focal",
    "gradient_matching",
    "guided_pairs",
    "joined",
    "l1",
    "log_l1",
    "mask_entropy_and_dice",
    "ordinal_nearness",
    "ordinal_regression",
    "random_pairs",
    "ranking",
    "scale_and_shift_invariant",
    "scale_invariant_log",
    "sky_far",
    "smoothness",
    "street_loss",
    "structural",
]
