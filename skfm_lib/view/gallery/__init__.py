"""The pages of a set of skulls: a contact sheet, and a page on which they turn."""

from skfm_lib.view.gallery.pages import write_pages

__all__ = ["write_pages"]
