"""Recipes and the one training loop."""
