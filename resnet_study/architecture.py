"""How the nets of Fig. 2 are laid out, and what each kind of block costs, as tables.

Reference: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", arXiv
1512.03385, Table 1 and section 3.3.
"""

import pandas as pd
import torch

from resnet_study.highway import Gates
from resnet_study.models import Network, build_model, count_multiply_adds, count_parameters
from resnet_study.tables import network

IMAGE = (3, 224, 224)  # channels, height and width of an image of ImageNet
CLASSES = 1000
DEPTHS = (18, 34)
# Family, what tells its variants apart, and the options that make them.
VARIANTS = (
    ("plain", "", {}),
    ("residual", "shortcut A", {"shortcut": "A"}),
    ("residual", "shortcut B", {"shortcut": "B"}),
    ("residual", "shortcut C", {"shortcut": "C"}),
    ("highway", "shortcut A, 1×1 gates", {"gates": Gates(kernel=1)}),
    ("highway", "shortcut A, 3×3 gates", {"gates": Gates(kernel=3)}),
)


def build_for_imagenet(family: str, depth: int, **options) -> Network:
    """A net for ImageNet without memory or arithmetic: of shape-only "meta" tensors.

    Raises:
        InputError: as :func:`resnet_study.models.build_model` does.
    """
    with torch.device("meta"):
        return build_model(family, depth, classes=CLASSES, **options).eval()


def layout() -> pd.DataFrame:
    """From image to logits: parts of a net, and what plain nets of each depth have in them.

    Columns part, made of, output (channels × height × width), and one for each depth.
    """
    columns = {}
    for depth in DEPTHS:
        model = build_for_imagenet("plain", depth)
        _, outputs = model(torch.empty(1, *IMAGE, device="meta"), return_stages=True)
        blocks = [f"{len(stage)} blocks" for stage in model.stages]
        columns[f"{depth} layers"] = ["1 layer", *blocks, "1 layer"]
    shapes = [" × ".join(map(str, output.shape[1:])) for output in outputs.values()]
    stages = len(shapes) - 1
    return pd.DataFrame(
        {
            "part": [name.replace("stage", "stage ") for name in outputs] + ["classifier"],
            "made of": [
                "7×7 convolution, 3×3 max-pooling",
                *["blocks of two layers"] * stages,
                "mean over pixels, linear layer",
            ],
            "output": [*shapes, str(CLASSES)],
            **columns,
        }
    )


def costs() -> pd.DataFrame:
    """Parameters and multiply-adds for one image of each kind of net, and beside the plain one's.

    Columns family, variant, depth, network, parameters, multiply_adds; extra_parameters and
    extra_multiply_adds are in percent of the plain net of the same depth.
    """
    rows = []
    for depth in DEPTHS:
        for family, variant, options in VARIANTS:
            model = build_for_imagenet(family, depth, **options)
            size, cost = count_parameters(model), count_multiply_adds(model, IMAGE)
            if family == "plain":
                plain = size, cost
            rows.append(
                {
                    "family": family,
                    "variant": variant,
                    "depth": depth,
                    "network": network(family, depth),
                    "parameters": size,
                    "multiply_adds": cost,
                    "extra_parameters": 100 * (size / plain[0] - 1),
                    "extra_multiply_adds": 100 * (cost / plain[1] - 1),
                }
            )
    return pd.DataFrame(rows)
