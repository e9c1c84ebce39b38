"""Pictures and tables."""

from skfm_lib.view.sharp import use_sharp_figures

use_sharp_figures()
