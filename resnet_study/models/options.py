"""What can be chosen of a network: families, depths, shortcuts, gates. Needs no torch."""

from dataclasses import dataclass

from resnet_study.errors import InputError, require_one_of
from resnet_study.models.families import find_families
from resnet_study.settings import check, setting

BUILT_IN = ("plain", "residual", "highway", "scaled")
FAMILIES = (*BUILT_IN, *find_families())
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
    kernel: int = setting("kernel of the gates", 3, one_of=KERNELS)
    # Negative, so that a block begins by carrying: −1 to −4 in Srivastava et al. 2015, 0 to −7
    # in He et al. 2016, −6 in Srivastava 2025.
    bias: float = setting("where the gates' bias starts", -2.0)
    # coupled: H·T + s·(1 − T), both papers' (He: "exclusive gating"). uncoupled: H·T + s·C with a
    # carry gate C of its own, the general form of 1505.00387, equation 2; C starts at −bias, so
    # at 1 − T. shortcut: H + s·(1 − T), He et al. 2016, "shortcut-only gating".
    form: str = setting(
        "one gate for both paths, a carry gate of its own, or the shortcut's alone",
        "coupled",
        one_of=FORMS,
    )
    # gated: s is what shortcut A, B or C makes of the input (A: strided and padded with zeros;
    # Srivastava 2025 gates a projection, B). plain: no gate and no shortcut, Srivastava et al.
    # 2015.
    reshaping: str = setting("blocks that change shape", "gated", one_of=RESHAPING)
    # Srivastava 2025; the shift of the normalisation starts at ``bias``.
    normalised: bool = setting("batch normalisation before the sigmoid", False)
    # after: ReLU(mix), as residual blocks end. inside: H = ReLU(F), none after, Srivastava 2025.
    relu: str = setting("ReLU after the mix, or inside of H", "after", one_of=RELUS)
    # 2: convolution, normalisation, ReLU before the last one, as H has them: Srivastava 2025.
    layers: int = setting("convolutions of a gate; two need gate_normalised", 1, one_of=LAYERS)

    def __post_init__(self):
        check(self, "gate {}")
        if self.layers > 1 and not self.normalised:
            raise InputError("a gate of two layers is normalised; accepted: gate_normalised")
        object.__setattr__(self, "bias", float(self.bias))  # −2 and −2.0 are one run, of one name


@dataclass(frozen=True)
class Scales:
    """Frozen factors of shortcut and branch: He et al. 2016, Table 1, "constant scaling".

    The paper tries 1 and 1 (the original), 0 and 1, 0.5 and 1, 0.5 and 0.5.

    Raises:
        InputError: for a value that is no finite number.
    """

    shortcut: float = setting("factor of the shortcut", 0.5)
    branch: float = setting("factor of the branch", 0.5)

    def __post_init__(self):
        check(self, "{} scale")
        for name, value in list(vars(self).items()):
            object.__setattr__(self, name, float(value))
