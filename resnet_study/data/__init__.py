"""Data sets as tensors, read from files, split, normalised and augmented."""
