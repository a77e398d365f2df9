"""Diagnostics: what goes on inside a network, as tables.

Each module holds one measurement, with its formula and source. They take any ``nn.Module`` that
maps images to logits, ours or torchvision's, and leave it as it was.
"""
