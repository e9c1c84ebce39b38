"""Whether generated skulls copy those that the models were trained on."""
