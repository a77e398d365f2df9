"""Residual learning, reproduced: models, training, records and figures of the study."""
