"""Networks, from blocks to the whole, and what can be said of them without training."""
