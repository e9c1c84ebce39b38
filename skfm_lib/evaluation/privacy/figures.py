"""How near samples are to training skulls, as pictures."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from skfm_lib.evaluation.privacy.copy_detection import Findings

FAR = 3.0  # limits
HELD_OUT = "#b9b4a7"
COLOURS = ("#c4622d", "#1f5a94", "#4b8b3b")


def nearest_histograms(
    found: Mapping[str, Mapping[str, Findings]], control: str
) -> Figure:
    """Nearest distances in units of the limit: space → set → findings, a panel each.

    control  the name of the held-out skulls among the sets, drawn filled

    What lies left of 1 is called a copy; the last bin holds all from `FAR` on.
    """
    figure, axes = plt.subplots(
        1, len(found), figsize=(3.1 * len(found), 2.9), squeeze=False, sharey=True,
        layout="constrained",
    )  # fmt: skip
    edges = np.linspace(0, FAR, 31)
    for axis, (space, sets) in zip(axes[0], found.items()):
        colours = iter(COLOURS)
        for name, findings in sets.items():
            ratio = findings.by_limit.clip(max=FAR)
            share = np.histogram(ratio, edges)[0] / len(ratio)
            if name == control:
                axis.stairs(share, edges, fill=True, color=HELD_OUT, label=name)
            else:
                axis.stairs(
                    share, edges, color=next(colours), linewidth=1.6, label=name
                )
        axis.axvline(1, color="black", linewidth=1, linestyle=":")
        axis.text(0.95, 1.02, "copies", ha="right", va="bottom", fontsize=8,
                  transform=axis.get_xaxis_transform())  # fmt: skip
        axis.set_title(space, pad=14)
        axis.set(xlabel="nearest distance / limit", xlim=(0, FAR))
    axes[0, 0].set_ylabel("share of the set")
    axes[0, -1].legend(frameon=False, fontsize=9)
    return figure
