"""The JSON Schemas that are published, as a program without our library uses them."""

import tomllib

import pytest
from jsonschema import Draft202012Validator, ValidationError
from test_own import MINE

from resnet_study import paths
from resnet_study.errors import InputError
from resnet_study.pipeline import schemas
from resnet_study.pipeline.records import find_sealed, read_record
from resnet_study.training.recipes import read_recipe, recipe_schema


def test_both_are_schemas():
    for schema in (schemas.schema(), recipe_schema()):
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("folder", [paths.RUNS / "digits", paths.MEASUREMENTS, paths.BENCHMARKS])
def test_sealed_files_are_sound_to_the_published_schema(folder):
    validator = Draft202012Validator(schemas.schema())
    for path in find_sealed(folder)[:5]:
        content = read_record(path)
        validator.validate(content)
        with pytest.raises(ValidationError):
            validator.validate(content | {"provenance": None})


@pytest.mark.parametrize(
    ("line", "sound"),
    [
        ("", True),
        ('data = "folder:birds"', True),
        ("drops = [0.5, 0.75]", True),
        ("scales = [64, 120]\ncrop = 56", True),
        ("rate = -1", False),
        ("rate = 0", False),
        ('rate = "fast"', False),
        ("fraction = 1.5", False),
        ("scales = [64]", False),
        ("flip = 1", False),
        ('stem = "wide"', False),
        ('data = "mnist"', False),
        ("depth = 18", False),
        ('name = "Mine"', False),
    ],
)
def test_schema_and_library_agree_on_a_recipe(tmp_path, line, sound):
    path = tmp_path / "mine.toml"
    path.write_text(f"{MINE}{line}\n")
    assert Draft202012Validator(recipe_schema()).is_valid(tomllib.loads(path.read_text())) == sound
    if not sound:
        with pytest.raises(InputError):
            read_recipe(path)
