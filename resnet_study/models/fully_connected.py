"""Fully connected nets of any depth: the simplest ones in which gradients vanish or explode.

A layer multiplies by a matrix, and so does its gradient on the way back; a net of many layers
multiplies many times. Activation, initialisation, normalisation and shortcuts decide by how much.

References: Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, "Efficient BackProp", 1998, section 4.6
(variance 1/N); K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", arXiv 1502.01852,
section 2.2 (variance 2/N), and "Deep residual learning", arXiv 1512.03385, section 3 (shortcuts).
"""

from functools import partial

from torch import Tensor, nn

from resnet_study.errors import InputError, require_at_least, require_integers, require_one_of

ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
INITIALISATIONS = {"lecun": 1, "he": 2}  # variance of the weights, times their number N of inputs


def linear(inputs: int, units: int, initialisation: str, bias: bool = True) -> nn.Linear:
    """Normal weights (units, inputs) of variance 1/inputs or 2/inputs, biases of zero."""
    layer = nn.Linear(inputs, units, bias=bias)
    nn.init.normal_(layer.weight, std=(INITIALISATIONS[initialisation] / inputs) ** 0.5)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class Layer(nn.Sequential):
    """activation(W·x + b), or activation(BN(W·x)) if ``normalised``: (N, inputs) to (N, units)."""

    def __init__(
        self, inputs: int, units: int, activation: nn.Module, initialisation: str, normalised: bool
    ):
        super().__init__()
        self.linear = linear(inputs, units, initialisation, bias=not normalised)
        if normalised:
            self.norm = nn.BatchNorm1d(units)
        self.activation = activation


class Block(nn.Module):
    """y = activation(F(x) + x): (N, units) to the same, F being two layers."""

    def __init__(self, first: Layer, second: Layer, activation: nn.Module):
        super().__init__()
        self.branch = nn.Sequential(first, second)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.branch(x) + x)


class FullyConnected(nn.Module):
    """A layer from ``inputs`` to the width, a body of square layers, a linear classifier."""

    def __init__(self, stem: nn.Module, body: nn.Module, classifier: nn.Module):
        super().__init__()
        self.stem = stem
        self.body = body
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, …) of ``inputs`` values each to logits (N, classes)."""
        return self.classifier(self.body(self.stem(images.flatten(1))))


def build_fully_connected(
    depth: int,
    *,
    width: int,
    inputs: int,
    classes: int,
    activation: str = "relu",
    initialisation: str = "he",
    normalised: bool = False,
    shortcut: bool = False,
) -> FullyConnected:
    """Build a net with the current state of torch's random generator.

    Stem and classifier stand outside of the ``depth`` square layers, ``body.0`` and so on, so that
    each of these has the same shape and the same factor.

    Args:
        depth: square layers; even with shortcuts, as two make a block.
        width: units of each of them.
        inputs: values of one image.
        classes: number of classes.
        activation: a key of ``ACTIVATIONS``.
        initialisation: a key of ``INITIALISATIONS``, for all layers but the classifier. No
            activation follows that one, so its variance is 1/width.
        normalised: batch normalisation before each activation; the layers then have no bias.
        shortcut: an identity around every two layers, added before the second's activation.

    Raises:
        InputError: for an activation, initialisation, switch, depth or size that does not exist.
    """
    require_one_of("activation", activation, ACTIVATIONS)
    require_one_of("initialisation", initialisation, INITIALISATIONS)
    require_one_of("normalised", normalised, (False, True))
    require_one_of("shortcut", shortcut, (False, True))
    sizes = {"depth": depth, "width": width, "inputs": inputs, "classes": classes}
    for name, value in sizes.items():
        require_integers(**{name: value})
        require_at_least(name, value, 1)
    if shortcut and depth % 2:
        raise InputError(f"depth {depth} is odd; accepted with shortcuts: 2, 4, 6, …")
    layer = partial(Layer, initialisation=initialisation, normalised=normalised)
    activate = ACTIVATIONS[activation]
    if shortcut:
        body = [
            Block(layer(width, width, activate()), layer(width, width, nn.Identity()), activate())
            for _ in range(depth // 2)
        ]
    else:
        body = [layer(width, width, activate()) for _ in range(depth)]
    return FullyConnected(
        layer(inputs, width, activate()), nn.Sequential(*body), linear(width, classes, "lecun")
    )
