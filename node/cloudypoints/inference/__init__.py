"""Inference: pictures in, typed depth (and labels) out, through onnxruntime."""

from cloudypoints.inference.card import ModelCard
from cloudypoints.inference.model import Model, Result, View

__all__ = ["Model", "ModelCard", "Result", "View"]
