"""A setting is spelt once; check, option, parameter, name, record and table follow from that."""

from dataclasses import MISSING, dataclass

import click
import pytest
import settings_table

from resnet_study import paths
from resnet_study.cli import SEVERAL
from resnet_study.cli import run as run_command
from resnet_study.errors import InputError
from resnet_study.pipeline.notebooks import declared_parameters, read_notebook
from resnet_study.pipeline.run import OF_RECIPE, SETTINGS, make_run, run_from_config
from resnet_study.settings import check, setting, settings

TRAIN = paths.ROOT / "notebooks" / "train.ipynb"
HOW = {
    "recipe",
    "device",
    "runs_dir",
    "data_dir",
    "overwrite",
    "checkpoint_seconds",
    "keep_weights",
    "tensorboard",
    "deadline",
}
NEEDED = {"own_subset": {"fraction": 0.5}}  # what else a value needs


def _another(each, value):
    """A value of a setting other than ``value``."""
    if each.meaning.one_of:
        return next(choice for choice in each.meaning.one_of if choice != value)
    if isinstance(value, tuple):
        return tuple(_another(each, item) for item in value)
    return {bool: lambda: not value, int: lambda: value + 1, float: lambda: value / 2 or 1.0}[
        type(value)
    ]()


@dataclass(frozen=True)
class Oven:
    heat: int = setting("degrees", at_least=50)
    fan: bool = setting("whether it turns", False)
    share: float = setting("of the tray", 1.0, above=0, up_to=1)
    times: tuple[int, int] | None = setting("from and to", None, at_least=1)
    shelf: str = setting("where", "middle", one_of=("top", "middle"))

    def __post_init__(self):
        check(self, "oven {}")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"heat": 49}, "oven heat 49 is impossible; accepted: 50 or more"),
        ({"heat": 60.0}, "oven heat 60.0 is no whole number"),
        ({"heat": True}, "oven heat True is no whole number"),
        ({"fan": 1.5}, "oven fan 1.5 is impossible; accepted: False, True"),
        ({"share": 0}, "oven share 0 is impossible; accepted: above 0, up to 1"),
        ({"share": 1.5}, "oven share 1.5 is impossible; accepted: above 0, up to 1"),
        (
            {"share": float("nan")},
            "oven share nan is impossible; accepted: a finite number above 0, up to 1",
        ),
        ({"share": "x"}, "oven share 'x' is impossible; accepted: a finite number"),
        ({"times": (1,)}, r"oven times \(1,\) is impossible; accepted: 2 numbers"),
        ({"times": (0, 2)}, "oven times 0 is impossible; accepted: 1 or more"),
        ({"times": "12"}, "oven times '12' is impossible; accepted: 2 numbers"),
        ({"shelf": "low"}, "oven shelf 'low' is unknown; accepted: top, middle"),
        ({"heat": None}, "oven heat None is no whole number"),
    ],
)
def test_a_value_that_is_not_accepted_is_named_with_what_is(given, told):
    with pytest.raises(InputError, match=told):
        Oven(**{"heat": 60} | given)


def test_a_setting_has_a_default_only_if_it_was_given_one():
    heat, fan, *_ = settings(Oven)
    assert heat.default is MISSING and fan.default is False
    assert Oven(50, times=(1, 2)).times == (1, 2)


def test_every_setting_is_an_option_of_the_command():
    options = {option.name: option for option in run_command.params}
    for name, each in SETTINGS.items():
        option = options[name]
        assert option.default is None
        assert each.meaning.help[1:] in option.help
        assert option.is_flag == (each.kind is bool)
        expected = {int: click.INT, float: click.FLOAT, bool: click.BOOL}
        kind = option.type.one if name in SEVERAL else option.type
        assert kind == expected.get(each.kind, click.STRING)


def test_every_setting_is_a_parameter_of_the_notebook_and_has_its_type():
    declared = declared_parameters(TRAIN, read_notebook(TRAIN))
    assert declared.keys() == SETTINGS.keys() | HOW
    for name, each in SETTINGS.items():
        kind = "str" if each.kind is tuple else each.kind.__name__
        usual = name in ("family", "depth", "seed", "shortcut")
        assert declared[name] == (kind if usual else f"Optional[{kind}]")


def test_every_setting_is_in_the_table_of_the_book():
    table = settings_table.table()
    for name, each in SETTINGS.items():
        assert f"<code>{name}</code>" in table
        for choice in each.meaning.one_of or ():
            assert f"<code>{choice}</code>" in table


@pytest.mark.parametrize(("name", "each"), OF_RECIPE.items(), ids=OF_RECIPE)
def test_a_setting_is_in_name_and_record_and_read_back(name, each):
    needed = NEEDED.get(name, {})
    usual = make_run("tiny-imagenet-20", **needed)
    owner = usual.recipe if hasattr(usual.recipe, name) else usual.recipe.augmentation
    changed = make_run("tiny-imagenet-20", **{name: _another(each, getattr(owner, name))}, **needed)
    assert changed.changes.keys() == usual.changes.keys() | {name}
    assert f"-{name}-{changed.changes[name]}".replace(",", "_") in changed.name
    assert changed.record_path() != usual.record_path()
    assert run_from_config(changed.config) == changed != usual
    assert make_run("tiny-imagenet-20", **changed.changes) == changed


def test_a_tuple_that_cannot_be_read_is_refused():
    with pytest.raises(InputError, match="drops 'half' cannot be read; accepted: numbers with"):
        make_run("digits", drops="half")
