"""From a configuration to a file below ``data``."""
