"""On which data a claim is tried, and how these are called."""

REGISTERED = {  # by rules that were committed before the trainings
    "tiny-imagenet-50": "50 classes of Tiny ImageNet",
    "digits": "digits, fresh seeds",
}
EXPLORED = {  # by rules that came later, or from too few seeds to decide
    "digits": "digits, first seeds",
    "tiny-imagenet-20": "20 classes of Tiny ImageNet, briefly",
    "tiny-imagenet": "all of Tiny ImageNet",
    "imagenet": "ImageNet",
}
# Recipes whose rates were chosen inside of a grid, family by family, and whose starts were varied.
BRACKETED = {"tiny-imagenet-50"}  # data/pilots/README.md, and the experiment ``start``
DEPTHS = {  # experiment and recipe, to the data in words
    ("depth", "digits"): "digits",
    ("thousand-layers", "digits-narrow"): "digits, half as wide",
    ("depth", "tiny-imagenet-32"): "Tiny ImageNet at 32×32",
}
