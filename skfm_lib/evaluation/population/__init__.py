"""How real the phantoms are: their shape, measures and images beside published ones."""
