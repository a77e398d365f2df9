"""Weights of trained networks, kept where that is asked for: safetensors beside the record.

The record has their SHA-256, and the file has what is needed to build the network anew and to feed
it: classes, shape and normalisation of its images.
"""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from resnet_study import paths
from resnet_study.errors import InputError, reason
from resnet_study.files import write_atomically
from resnet_study.models.networks import Network
from resnet_study.pipeline.networks import network_of
from resnet_study.pipeline.records import RecordError, are_weights_of, read_record, weights_path
from resnet_study.pipeline.run import run_from_config


def save_weights(record: Path, model: Network, shape: tuple[int, int, int], data) -> dict[str, str]:
    """Write the weights of ``model`` beside ``record``; returns what the record says of them.

    ``shape`` (C, H, W) is of the images as the network gets them, of ``data``, which tells their
    classes, ``mean`` and ``deviation``.
    """
    tensors = {name: part.detach().cpu().contiguous() for name, part in model.state_dict().items()}
    images = {
        "classes": data.classes,
        "shape": shape,
        "mean": data.mean.flatten().tolist(),
        "deviation": data.deviation.flatten().tolist(),
    }
    content = save(tensors, {"images": json.dumps(images)})
    write_atomically(weights_path(record), content)
    return {"sha256": hashlib.sha256(content).hexdigest()}


def load_trained(record: Path | str) -> Network:
    """The trained network of a record, on the CPU and ready to evaluate.

    It maps images float (N, C, H, W) to logits (N, classes). Before, 0 to 255 must become
    (pixel − mean) / deviation of each channel; :func:`images_of` has both.

    Args:
        record: its file; or the name of a net that comes with the study, ``residual-34-seed-0``.

    Raises:
        InputError: if there are no weights, or not those of the record.
        RecordError: if the record is missing or damaged.
    """
    record = _find(record)
    content = read_record(record, "run")
    run = run_from_config(content["config"])
    if run is None:
        raise RecordError(f"record {record} is of no run of today")
    images, tensors = _read(weights_path(record), content)
    network = network_of(run, images["classes"], tuple(images["shape"]))
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(
            f"{weights_path(record)} is of another network: {reason(error)}"
        ) from error
    return network.eval()


def images_of(record: Path | str) -> dict:
    """What images a trained network takes: ``classes``, ``shape``, ``mean``, ``deviation``.

    Raises:
        InputError: if there are no weights, or not those of the record.
    """
    record = _find(record)
    return _read(weights_path(record), read_record(record, "run"))[0]


def trained() -> list[str]:
    """Names of the nets that come with the study."""
    return sorted(path.stem for path in paths.WEIGHTS.glob("*/*.safetensors"))


def _find(record: Path | str) -> Path:
    if str(record) in trained():
        (record,) = paths.WEIGHTS.glob(f"*/{record}.json")
    elif "/" not in str(record) and not Path(record).exists():
        raise InputError(
            f"no trained net is called {str(record)!r}; accepted: {', '.join(trained())}, or a "
            "record's file"
        )
    return Path(record)


def _read(path: Path, record: dict) -> tuple[dict, dict[str, torch.Tensor]]:
    """What a file of weights says of images, and its tensors; checked against the record."""
    if "weights" not in record or not path.is_file():
        raise InputError(f"there are no weights at {path}; accepted: of a run with --keep-weights")
    if not are_weights_of(path, record):
        raise InputError(f"{path} has other weights than those of its record")
    try:
        with safe_open(path, "pt") as file:
            return json.loads(file.metadata()["images"]), {
                name: file.get_tensor(name)
                for name in file.keys()  # noqa: SIM118 (no dict)
            }
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {reason(error)}") from error
