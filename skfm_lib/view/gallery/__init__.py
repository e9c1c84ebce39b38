"""Skulls that can be turned: the pages of a set, and viewers inside other pages."""

from skfm_lib.view.gallery.pages import write_pages
from skfm_lib.view.gallery.viewer import Viewer, inline

__all__ = ["Viewer", "inline", "write_pages"]
