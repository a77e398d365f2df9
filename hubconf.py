"""Trained nets of the study for ``torch.hub``; in a clone of it, with ``source="local"``."""

from resnet_study.models.to_torchvision import to_torchvision
from resnet_study.pipeline.weights import load_trained

dependencies = ["joblib", "jsonschema", "numpy", "safetensors", "scipy", "torch", "torchvision"]


def trained(name="residual-34-seed-0"):
    """A net on digits, half as wide as in Fig. 2, ready to evaluate, with its record's weights."""
    return load_trained(name)


__all__ = ["to_torchvision", "trained"]
