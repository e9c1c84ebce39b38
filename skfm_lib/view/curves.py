"""Losses over the steps of a training."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure


def loss_curves(histories: dict[str, dict[str, list[float]]], name: str) -> Figure:
    """The quantity `name` of each history: every step faint, its running mean bold."""
    figure, axis = plt.subplots(figsize=(6.4, 3.0), layout="constrained")
    for colour, (label, history) in zip(_colours(), histories.items()):
        values = np.asarray(history[name])
        window = max(1, len(values) // 50)
        mean = np.convolve(values, np.ones(window) / window, "valid")
        axis.plot(values, color=colour, alpha=0.2, linewidth=0.7)
        steps = np.arange(len(mean)) + window - 1
        axis.plot(steps, mean, color=colour, linewidth=1.8, label=label)
    axis.set(xlabel="step", ylabel=name, yscale="log")
    axis.grid(alpha=0.25, which="both")
    axis.legend(frameon=False)
    return figure


def _colours() -> list[str]:
    return ["#1f5a94", "#c4622d", "#4b8b3b", "#7a4b94"]
