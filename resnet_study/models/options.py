"""What can be chosen of a network: families, depths, shortcuts, gates. Needs no torch."""

from dataclasses import dataclass
from math import isfinite

from resnet_study.errors import InputError, require_one_of

FAMILIES = ("plain", "residual", "highway", "scaled")
STEMS = ("imagenet", "small")
MEASURES = ("parameters", "multiply_adds")  # in which a Highway net can match a residual one
SHORTCUTS = ("A", "B", "C")
# How signals are kept in bounds: batch normalisation; the same, with the last γ of each branch
# starting at 0 (P. Goyal et al., arXiv 1706.02677, section 5.1) or at ``SMALL_GAMMA``, or with
# kernels that start orthogonal (L. Xiao et al., arXiv 1806.05393); none, but a learnt factor on
# each branch that starts at 0 (S. De, S. Smith, "SkipInit", arXiv 2002.10444); or none at all.
NORMALISATIONS = ("batch", "zero-gamma", "small-gamma", "orthogonal", "skip-init", "none")
FOUR_STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}  # He et al. 2015, Table 1


def stage_lengths(depth: int) -> tuple[int, ...]:
    """Blocks in each stage of a net of ``depth`` weighted layers.

    18 and 34 have the four stages of He et al. 2015, Table 1; other depths are the
    three-stage 6n+2 family of section 4.2.

    Raises:
        InputError: for a depth of neither kind.
    """
    if depth in FOUR_STAGES:
        return FOUR_STAGES[depth]
    if depth < 8 or (depth - 2) % 6:
        raise InputError(f"depth {depth} is unknown; accepted: 18, 34, and 6n+2 (8, 14, 20, 26, …)")
    return ((depth - 2) // 6,) * 3


def has_batch_normalisation(normalisation: str) -> bool:
    """Whether a net of one of ``NORMALISATIONS`` normalises batches."""
    return normalisation not in ("skip-init", "none")


def require_normalisation(family: str, shortcut: str, normalisation: str) -> None:
    """Raise :class:`InputError` unless nets of ``family`` and ``shortcut`` can have it."""
    require_one_of("normalisation", normalisation, NORMALISATIONS)
    usual = {"plain": ("batch", "orthogonal", "none"), "residual": NORMALISATIONS}.get(
        family, ("batch",)
    )
    require_one_of(f"normalisation of a {family} net", normalisation, usual)
    if shortcut != "A" and not has_batch_normalisation(normalisation):
        raise InputError(
            f"shortcut {shortcut} has batch normalisation; accepted with normalisation "
            f"{normalisation}: A"
        )


KERNELS = (1, 3)
FORMS = ("coupled", "uncoupled", "shortcut")
RESHAPING = ("gated", "plain")
RELUS = ("after", "inside")
LAYERS = (1, 2)


@dataclass(frozen=True)
class Gates:
    """How the blocks of a Highway net are gated; the defaults are 3×3 gates, bias −2.

    Raises:
        InputError: for a value that does not exist.
    """

    # 3: the kernel of H, Srivastava et al. 2015; 1: He et al. 2016.
    kernel: int = 3
    # Where the gate's pre-activation starts. Negative, so that a block begins by carrying:
    # −1 to −4 in Srivastava et al. 2015, 0 to −7 in He et al. 2016, −6 in Srivastava 2025.
    bias: float = -2.0
    # coupled: H·T + s·(1 − T), both papers' (He: "exclusive gating"). uncoupled: H·T + s·C with a
    # carry gate C of its own, the general form of 1505.00387, equation 2; C starts at −bias, so
    # at 1 − T. shortcut: H + s·(1 − T), He et al. 2016, "shortcut-only gating".
    form: str = "coupled"
    # Blocks that change shape. gated: s is what shortcut A, B or C makes of the input (A: strided
    # and padded with zeros; Srivastava 2025 gates a projection, B). plain: no gate and no
    # shortcut, Srivastava et al. 2015.
    reshaping: str = "gated"
    # Batch normalisation between convolution and sigmoid; its shift starts at ``bias``:
    # Srivastava 2025.
    normalised: bool = False
    # after: ReLU(mix), as residual blocks end. inside: H = ReLU(F), none after, Srivastava 2025.
    relu: str = "after"
    # Convolutions of a gate. 2: convolution, normalisation, ReLU before the last one, as H has
    # them: Srivastava 2025.
    layers: int = 1

    def __post_init__(self):
        require_one_of("gate kernel", self.kernel, KERNELS)
        require_one_of("gate form", self.form, FORMS)
        require_one_of("gate reshaping", self.reshaping, RESHAPING)
        require_one_of("gate normalised", self.normalised, (False, True))
        require_one_of("gate relu", self.relu, RELUS)
        require_one_of("gate layers", self.layers, LAYERS)
        if self.layers > 1 and not self.normalised:
            raise InputError("a gate of two layers is normalised; accepted: gate_normalised")
        if isinstance(self.bias, bool) or not isfinite(self.bias):
            raise InputError(f"gate bias {self.bias} is impossible; accepted: a finite number")
        object.__setattr__(self, "bias", float(self.bias))  # −2 and −2.0 are one run, of one name


@dataclass(frozen=True)
class Scales:
    """Frozen factors of shortcut and branch: He et al. 2016, Table 1, "constant scaling".

    The paper tries 1 and 1 (the original), 0 and 1, 0.5 and 1, 0.5 and 0.5.

    Raises:
        InputError: for a value that is no finite number.
    """

    shortcut: float = 0.5
    branch: float = 0.5

    def __post_init__(self):
        for name, value in list(vars(self).items()):
            if isinstance(value, bool) or not isfinite(value):
                raise InputError(f"{name} scale {value} is impossible; accepted: a finite number")
            object.__setattr__(self, name, float(value))
