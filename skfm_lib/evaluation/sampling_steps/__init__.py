"""Quality of generated skulls against the number of evaluations of the network."""
