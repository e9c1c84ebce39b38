"""Which program shows what Python displays."""

import os
import sys


def in_notebook() -> bool:
    """True under a Jupyter kernel (JupyterLab, papermill), false elsewhere."""
    shell = sys.modules.get("IPython")
    running = shell.get_ipython() if shell else None
    return running is not None and hasattr(running, "kernel")


def in_jupyterlab() -> bool:
    """Whether a browser shows the notebook of this kernel while it runs.

    The servers of JupyterLab and Jupyter Notebook name the notebook in
    ``JPY_SESSION_NAME``; papermill does not.  ``SKFM_PROGRESS`` is set by `skfm run`,
    also where that was itself started in a notebook.
    """
    served = "JPY_SESSION_NAME" in os.environ and "SKFM_PROGRESS" not in os.environ
    return served and in_notebook()
