"""Which runs answer which question, and the rules that decide."""
