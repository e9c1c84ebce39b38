"""Whether generated skulls, or the networks, disclose the training skulls."""
