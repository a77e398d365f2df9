"""On which data a claim is tried, and how these are called."""

SCALES = {
    "digits": "digits",
    "tiny-imagenet-20": "20 classes of Tiny ImageNet",
    "tiny-imagenet": "Tiny ImageNet",
}
DEPTHS = {  # experiment and recipe, to the data in words
    ("depth", "digits"): "digits",
    ("thousand-layers", "digits-narrow"): "digits, half as wide",
    ("depth", "tiny-imagenet-32"): "Tiny ImageNet at 32×32",
}
