"""Train the networks: one training loop, one optimizer, one checkpoint format."""
