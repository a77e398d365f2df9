"""Training recipes: how a network is trained, whatever its family and depth.

A recipe is one small function; to add one, write it and list it in ``RECIPES``. Or it is a file of
somebody's own, see :func:`read_recipe`.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, replace
from pathlib import Path

from resnet_study.data.options import DATA_SETS, OWN_DATA, Augmentation
from resnet_study.errors import InputError, reason, require_one_of
from resnet_study.models.options import STEMS
from resnet_study.settings import check, json_schema, setting, settings

NAME = "[a-z0-9][a-z0-9-]{0,39}"  # of a recipe, which is a folder of records, too
PRECISIONS = ("float32", "tensorfloat32", "bfloat16")


@dataclass(frozen=True)
class Recipe:
    """Data, model size and optimisation: stochastic gradient descent with momentum.

    Raises:
        InputError: for a value that cannot be trained with.
    """

    name: str
    augmentation: Augmentation
    data: str = setting("data set, or folder:PATH of pictures", one_of=DATA_SETS, pattern=OWN_DATA)
    held_out: int = setting(
        "training images that validate; 0: the data set's own test images", at_least=0
    )
    stem: str = setting("first layers: 7×7 and pooling, or 3×3", one_of=STEMS)
    width: int = setting("channels of the first stage", at_least=1)
    batch: int = setting("images a step", at_least=2)  # batch normalisation needs two
    epochs: int = setting("passes over the training images", at_least=1)
    rate: float = setting("learning rate before the first drop", above=0)
    drops: tuple[float, ...] = setting(
        "shares of the run at which the rate is divided by 10", above=0, up_to=1
    )
    momentum: float = setting("of stochastic gradient descent", 0.9, at_least=0)
    nesterov: bool = setting("momentum of Nesterov's kind, which looks a step ahead", False)
    weight_decay: float = setting("of all weights", 1e-4, at_least=0)
    warmup: int = setting("steps at a tenth of the rate, before the others", 0, at_least=0)
    patience: int = setting(
        "epochs of no lower training error after which the rate drops, instead of at fixed "
        "times; 0: at those",
        0,
        at_least=0,
    )
    # Weights and statistics are float32 whatever it is.
    precision: str = setting("of convolutions", "float32", one_of=PRECISIONS)
    ten_crop: bool = setting("at the end, the validation error over ten crops of each image", False)
    fraction: float = setting(
        "share of the training images; the number of steps stays the same", 1.0, above=0, up_to=1
    )
    own_subset: bool = setting(
        "each seed draws that share anew; else all have the same images", False
    )
    clip: float = setting(
        "largest norm of the gradient of a step, over all weights; 0: any", 0.0, at_least=0
    )

    def __post_init__(self):
        if not re.fullmatch(NAME, self.name):
            raise InputError(
                f"a recipe cannot be called {self.name!r}; accepted: small letters, digits and -"
            )
        check(self)
        if self.patience and self.warmup:
            raise InputError("patience and warmup exclude each other; accepted: one of them")
        if self.nesterov and not self.momentum:
            raise InputError("nesterov is of momentum; accepted with it: momentum above 0")
        if self.augmentation.crop is None and (self.ten_crop or self.data == "imagenet"):
            needy = "ten_crop" if self.ten_crop else "imagenet"
            raise InputError(f"{needy} needs a crop; accepted: augmentation with scales and crop")
        if self.own_subset and self.fraction == 1:
            raise InputError("all images are no subset; accepted with own_subset: fraction below 1")


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of step ``step`` (from 0) in a run of ``steps``: piecewise constant."""
    if step < recipe.warmup:
        return recipe.rate * 0.1
    return recipe.rate * 0.1 ** sum(step >= drop * steps for drop in recipe.drops)


def digits() -> Recipe:
    """Handwritten digits of 8×8 pixels: minutes on a CPU.

    The CIFAR-10 recipe in small: one pixel of crop padding for 8×8 images as four are
    for 32×32, drops at the same fractions, no flip because mirrored digits are no digits.
    """
    return Recipe(
        name="digits",
        data="digits",
        held_out=360,
        stem="small",
        width=16,
        augmentation=Augmentation(crop_padding=1),
        batch=64,
        epochs=20,
        rate=0.05,
        drops=(0.5, 0.75),
    )


def digits_narrow() -> Recipe:
    """The digits recipe at half the width, for nets of a thousand layers."""
    return replace(digits(), name="digits-narrow", width=8)


def cifar10() -> Recipe:
    """He et al. 2015, section 4.2: 64,000 iterations of 128 images are 182 epochs of 45,000."""
    return Recipe(
        name="cifar10",
        data="cifar10",
        held_out=5000,
        stem="small",
        width=16,
        augmentation=Augmentation(crop_padding=4, flip=True),
        batch=128,
        epochs=182,
        rate=0.1,
        drops=(0.5, 0.75),
    )


def cifar10_110() -> Recipe:
    """The CIFAR-10 recipe with the warm-up of the 110-layer net.

    The paper warms up until the training error is below 80 %, "about 400 iterations", then goes
    back to the rate of the others.
    """
    return replace(cifar10(), name="cifar10-110", warmup=400)


def cifar10_final() -> Recipe:
    """The final run of the CIFAR-10 recipe: all 50,000 images train, the test set validates."""
    return replace(cifar10(), name="cifar10-final", held_out=0, epochs=164)


def cifar100() -> Recipe:
    """The CIFAR-10 recipe on CIFAR-100."""
    return replace(cifar10(), name="cifar100", data="cifar100")


def fashion_mnist() -> Recipe:
    """The CIFAR-10 recipe on Fashion-MNIST, for a tenth of the time."""
    return replace(cifar10(), name="fashion-mnist", data="fashion-mnist", epochs=18)


def imagenet() -> Recipe:
    """He et al. 2015, section 3.4, on the 1.28 million images of ImageNet.

    120 epochs of 5,005 batches are the paper's 60e4 iterations; its rate drops on plateaus, which
    its Fig. 4 shows at 15e4 and 30e4 (``patience`` looks for plateaus instead). Channels are
    normalised where the paper subtracts the mean of each pixel.
    """
    return Recipe(
        name="imagenet",
        data="imagenet",
        held_out=0,
        stem="imagenet",
        width=64,
        augmentation=Augmentation(scales=(256, 480), crop=224, flip=True, colour=True),
        batch=256,
        epochs=120,
        rate=0.1,
        drops=(1 / 4, 1 / 2),
        precision="tensorfloat32",
        ten_crop=True,
    )


def tiny_imagenet() -> Recipe:
    """The ImageNet recipe of He et al. 2015, section 3.4, at a quarter of the side in pixels.

    Crops of 56 where the paper has 224, from a side of 64 to 120 where it has 256 to 480. 90
    epochs, with drops after 30 and 60 of them.
    """
    return replace(
        imagenet(),
        name="tiny-imagenet",
        data="tiny-imagenet",
        augmentation=Augmentation(scales=(64, 120), crop=56, flip=True, colour=True),
        epochs=90,
        drops=(1 / 3, 2 / 3),
    )


def tiny_imagenet_20() -> Recipe:
    """Every tenth class of Tiny ImageNet at half the width: pictures at a size for a CPU.

    With the batch, the rate is halved. The drops come later than in 90 epochs, at the fractions
    of section 4.2: after a third of 20 epochs the networks have hardly begun to learn. Far from
    converged, they are not set beside the paper's ten-crop errors.
    """
    return replace(
        tiny_imagenet(),
        name="tiny-imagenet-20",
        data="tiny-imagenet-20",
        precision="float32",
        ten_crop=False,
        width=32,
        batch=128,
        epochs=20,
        rate=0.05,
        drops=(0.5, 0.75),
    )


def tiny_imagenet_50() -> Recipe:
    """Every fourth class of Tiny ImageNet, narrow nets, 100 epochs: long trainings on a CPU.

    Nets an eighth as wide as the paper's cannot learn 25,000 pictures by heart, and 19,600
    iterations are enough for their gaps to settle.
    """
    return replace(
        tiny_imagenet_20(), name="tiny-imagenet-50", data="tiny-imagenet-50", width=8, epochs=100
    )


def tiny_imagenet_32() -> Recipe:
    """The CIFAR-10 recipe on Tiny ImageNet at 32×32 pixels, for as many iterations."""
    return replace(
        cifar10(),
        name="tiny-imagenet-32",
        data="tiny-imagenet-32",
        held_out=0,
        epochs=82,
        precision="tensorfloat32",
    )


RECIPES = {
    recipe().name: recipe
    for recipe in (
        digits,
        digits_narrow,
        cifar10,
        cifar10_110,
        cifar10_final,
        cifar100,
        fashion_mnist,
        imagenet,
        tiny_imagenet,
        tiny_imagenet_20,
        tiny_imagenet_50,
        tiny_imagenet_32,
    )
}


_OWN: dict[str, tuple[Recipe, Path]] = {}  # recipes of files that were read, by their names


def get_recipe(name: str, **changes: object) -> Recipe:
    """The recipe called ``name``, or in the file ``name``.toml, with settings changed.

    A change of None is no change. Settings of its augmentation are changed by their own names;
    data may be ``folder:PATH``.

    Raises:
        InputError: for an unknown name or an impossible value.
    """
    if name.endswith(".toml"):
        return change(read_recipe(Path(name)), changes)
    require_one_of("recipe", name, RECIPES)
    return change(RECIPES[name](), changes)


def change(recipe: Recipe, changes: Mapping[str, object]) -> Recipe:
    """The recipe with settings changed as in :func:`get_recipe`."""
    given = {name: value for name, value in changes.items() if value is not None}
    images = {
        each.name: given.pop(each.name) for each in settings(Augmentation) if each.name in given
    }
    if str(given.get("data")).startswith("folder:"):
        from resnet_study.data.folders import name_folder  # which reads pictures

        given["data"] = name_folder(str(given["data"]))
    return replace(recipe, augmentation=replace(recipe.augmentation, **images), **given)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file: settings by their names, one a line.

    ``base`` is the recipe that has what is not set there, and ``name`` what its records are filed
    under, the file's own name if it is not set.

    Raises:
        InputError: for a file that cannot be read, a name that is taken, a setting that does not
            exist or is missing, or an impossible value.
    """
    try:
        given = tomllib.loads(path.expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"recipe {path} cannot be read: {reason(error)}") from error
    name = str(given.pop("name", path.stem))
    if name in RECIPES or not re.fullmatch(NAME, name):
        raise InputError(
            f"recipe {path} cannot be called {name!r}; accepted: a name of its own, of small "
            "letters, digits and -"
        )
    base = given.pop("base", None)
    known = {each.name: each for kind in (Recipe, Augmentation) for each in settings(kind)}
    for key in given:
        require_one_of(f"setting of recipe {path}", key, ("name", "base", *known))
    read = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    try:
        if base is not None:
            require_one_of("base", base, RECIPES)
            recipe = change(replace(RECIPES[base](), name=name), read)
        else:
            recipe = _from_nothing(name, read)
    except InputError as error:
        raise InputError(f"recipe {path}: {error}") from error
    _OWN[name] = recipe, path.expanduser().resolve()
    return recipe


def _from_nothing(name: str, read: Mapping[str, object]) -> Recipe:
    """A recipe that has no base; it must have every setting that has no default."""
    needed = [each.name for each in settings(Recipe) if each.default is MISSING]
    missing = [each for each in needed if each not in read]
    if missing:
        raise InputError(f"{', '.join(missing)} is missing; accepted: all of them, or a base")
    # Any recipe serves to begin with: every setting without a default is changed.
    usual = {each.name: each.default for each in settings(Recipe) if each.default is not MISSING}
    blank = replace(digits(), name=name, augmentation=Augmentation(), **usual)
    return change(blank, read)


def source_of(recipe: Recipe) -> str:
    """What to tell another process of a recipe: its name, or its file."""
    return str(_OWN[recipe.name][1]) if recipe.name in _OWN else recipe.name


def changes_of(recipe: Recipe) -> dict[str, object]:
    """The settings in which ``recipe`` departs from the recipe of its name.

    None, if that is of a file that was not read.
    """
    if recipe.name in RECIPES:
        usual = RECIPES[recipe.name]()
    else:
        usual, _ = _OWN.get(recipe.name, (recipe, None))
    pairs = ((recipe, usual), (recipe.augmentation, usual.augmentation))
    return {
        each.name: getattr(own, each.name)
        for own, other in pairs
        for each in settings(type(own))
        if getattr(own, each.name) != getattr(other, each.name)
    }


def recipe_schema() -> dict:
    """The JSON Schema of a recipe's file, made from the settings; see :func:`read_recipe`."""
    known = {each.name: each for kind in (Recipe, Augmentation) for each in settings(kind)}
    folder = {"type": "string", "pattern": "^folder:"}
    properties = {name: json_schema(each) for name, each in known.items()}
    data = properties["data"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "a recipe of resnet-study",
        "type": "object",
        "properties": {
            "name": {
                "description": "what records are filed under",
                "type": "string",
                "pattern": f"^{NAME}$",
            },
            "base": {"description": "has what is not set here", "enum": list(RECIPES)},
            **properties,
            "data": {"description": data.pop("description"), "anyOf": [folder, data]},
        },
        "additionalProperties": False,
    }
