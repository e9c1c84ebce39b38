"""Flow matching against diffusion that predicts ε or v: by steps, and why ε fails."""
