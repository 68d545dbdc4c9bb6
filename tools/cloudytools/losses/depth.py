"""Losses on depth: how far off, how far off whatever the scale, and how true its edges are.

Most work on the logarithm of metres, (N, H, W). NaN in the truth marks pixels without one; they
have no effect, not even on the gradient. A picture without a single known pixel costs 0.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name torch's own documentation gives it
from torch import Tensor

_WINDOW_PX, _SIGMA_PX = 11, 1.5  # of SSIM's Gaussian window


def log_l1(log_depth: Tensor, true_log_depth: Tensor, weight: Tensor) -> Tensor:
    """Σ w |log z − log z*| / Σ w over known pixels: the relative error, to first order.

    Carvalho et al. 2018, "On regression losses for deep depth estimation"; log space after Eigen et
    al. 2014. All three are (N, H, W); `weight` ≥ 0.
    """
    error, known = difference(log_depth, true_log_depth)
    weight = weight * known
    return (weight * error.abs()).sum() / weight.sum().clamp(min=1)


def l1(depth: Tensor, truth: Tensor) -> Tensor:
    """The mean of |y − y*| over known pixels, in the unit of both, (N, H, W).

    Carvalho et al. 2018 (as above), who found it the best of the plain regressions.
    """
    error, known = difference(depth, truth)
    return error.abs().sum() / known.sum().clamp(min=1)


def scale_invariant_log(log_depth: Tensor, true_log_depth: Tensor, share: float = 0.5) -> Tensor:
    """Mean of g² − share · (mean g)² with g = log z − log z*, a mean over pictures.

    Eigen et al. 2014, "Depth Map Prediction from a Single Image", eq. 4. With `share` 1 a factor on
    depth costs nothing; training takes 0.5, and 0.85 after Lee et al. 2019 (BTS). No square root
    is taken: its gradient has no end at the truth.
    """
    error, known = difference(log_depth, true_log_depth)
    count = known.sum(dim=(1, 2)).clamp(min=1)
    squares = error.square().sum(dim=(1, 2)) / count
    mean = error.sum(dim=(1, 2)) / count
    return (squares - share * mean.square()).mean()


def gradient_matching(log_depth: Tensor, true_log_depth: Tensor, scales: int = 4) -> Tensor:
    """Σ_k mean(|∂x R_k| + |∂y R_k|) with R = log z − log z*, R_k every 2^k-th pixel of it.

    Li and Snavely 2018, "MegaDepth", eq. 4: edges sharp and surfaces smooth where those of the
    truth are, whatever the scale. (N, H, W) each; only pairs of known neighbours count.
    """
    error, known = difference(log_depth, true_log_depth)
    total = error.new_zeros(())
    for scale in range(scales):
        step = 2**scale
        total = total + _mean_step(error[:, ::step, ::step], known[:, ::step, ::step])
    return total


def scale_and_shift_invariant(nearness: Tensor, truth: Tensor, gradient: float = 0.5) -> Tensor:
    """The mean of R² / 2 + gradient · Σ_k mean(|∂x R_k| + |∂y R_k|), with R = s·d + t − d*.

    Ranftl et al. 2020, "Towards Robust Monocular Depth Estimation" (MiDaS), eqs. 4, 5 and 11: s and
    t are those that make R least in each picture, and d* has no unit: its own mean absolute
    deviation is 1. Both are inverse depth (N, H, W).
    """
    known = torch.isfinite(truth)
    wanted = _unit(truth.nan_to_num(), known)
    scale, shift = _aligning(nearness, wanted, known)
    aligned = scale[:, None, None] * nearness + shift[:, None, None]
    error = torch.where(known, aligned - wanted, 0.0)
    data = error.square().sum() / (2 * known.sum().clamp(min=1))
    steps = gradient_matching(error, torch.where(known, 0.0, torch.nan))
    return data + gradient * steps


def structural(depth: Tensor, truth: Tensor, data_range: float) -> Tensor:
    """The mean of (1 − SSIM) / 2 over known pixels, (N, H, W) each.

    Wang et al. 2004, "Image Quality Assessment", eq. 13:
    SSIM = (2 μx μy + c1)(2 σxy + c2) / ((μx² + μy² + c1)(σx² + σy² + c2)) under a Gaussian window
    of 11 px, σ 1.5 px, c = (0.01, 0.03)² · range². Windows weigh known pixels alone.
    """
    known = torch.isfinite(truth)
    x, y = torch.where(known, depth, 0.0), torch.where(known, truth, 0.0)
    weight = _blurred(known.to(x.dtype)).clamp(min=1e-6)
    stacked = torch.stack([x, y, x * x, y * y, x * y])
    mean_x, mean_y, xx, yy, xy = (_blurred(one) / weight for one in stacked)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * (xy - mean_x * mean_y) + c2)
    spread = (xx - mean_x.square()) + (yy - mean_y.square())
    ssim = likeness / ((mean_x.square() + mean_y.square() + c1) * (spread + c2))
    return ((1 - ssim) / 2 * known).sum() / known.sum().clamp(min=1)


def smoothness(depth: Tensor, picture: Tensor) -> Tensor:
    """Mean |∂x d̂| exp(−|∂x I|) + mean |∂y d̂| exp(−|∂y I|), with d̂ = d / mean d of each picture.

    Godard et al. 2017, "Unsupervised Monocular Depth Estimation with Left-Right Consistency", eq.
    3, normalised as in Godard et al. 2019 (Monodepth2): depth may step where the picture does.
    `depth` (N, H, W) above 0, `picture` (N, 3, H, W) of about unit spread.
    """
    unit = depth / depth.mean(dim=(1, 2), keepdim=True).clamp(min=1e-6)
    total = depth.new_zeros(())
    for axis in (1, 2):
        edge = picture.diff(dim=axis + 1).abs().mean(dim=1)
        total = total + (unit.diff(dim=axis).abs() * torch.exp(-edge)).mean()
    return total


def difference(said: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """What was said less the truth, 0 where the truth is unknown, and where it is known."""
    known = torch.isfinite(truth)
    return torch.where(known, said - truth.nan_to_num(), 0.0), known


def _mean_step(error: Tensor, known: Tensor) -> Tensor:
    total, pairs = error.new_zeros(()), error.new_zeros(())
    for axis in (1, 2):
        both = known.narrow(axis, 1, known.shape[axis] - 1) & known.narrow(
            axis, 0, known.shape[axis] - 1
        )
        total = total + (error.diff(dim=axis).abs() * both).sum()
        pairs = pairs + both.sum()
    return 2 * total / pairs.clamp(min=1)


def _unit(truth: Tensor, known: Tensor) -> Tensor:
    """The truth about its mean, in units of its mean absolute deviation there (MiDaS eq. 6)."""
    count = known.sum(dim=(1, 2), keepdim=True).clamp(min=1)
    about = (truth - (truth * known).sum(dim=(1, 2), keepdim=True) / count) * known
    deviation = about.abs().sum(dim=(1, 2), keepdim=True) / count
    return about / deviation.clamp(min=1e-6)


def _aligning(nearness: Tensor, wanted: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and shift (N,) of least squares; scale 0 where the prediction does not vary."""
    count = known.sum(dim=(1, 2)).clamp(min=1)
    mean = (nearness * known).sum(dim=(1, 2)) / count
    wanted_mean = (wanted * known).sum(dim=(1, 2)) / count
    about = (nearness - mean[:, None, None]) * known
    variance = about.square().sum(dim=(1, 2))
    scale = (about * wanted).sum(dim=(1, 2)) / variance.clamp(min=1e-9)
    return scale, wanted_mean - scale * mean


def _blurred(x: Tensor) -> Tensor:
    """Under the Gaussian window, 0 beyond the rim; (N, H, W)."""
    at_px = torch.arange(_WINDOW_PX, dtype=x.dtype, device=x.device) - _WINDOW_PX // 2
    row = torch.exp(-(at_px**2) / (2 * _SIGMA_PX**2))
    row = row / row.sum()
    blurred = F.conv2d(x[:, None], row[None, None, None], padding=(0, _WINDOW_PX // 2))
    return F.conv2d(blurred, row[None, None, :, None], padding=(_WINDOW_PX // 2, 0))[:, 0]
