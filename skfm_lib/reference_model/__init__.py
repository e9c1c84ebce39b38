"""The trained model that comes with the library: packed, loaded and applied."""

from skfm_lib.reference_model.loading import (
    MODEL,
    load_generator,
    load_reference,
    load_screener,
    load_tool,
    settings_of,
)
from skfm_lib.reference_model.package import Package, find_package, open_package
from skfm_lib.reference_model.skulls import GeneratedSkull, generate

__all__ = [
    "MODEL",
    "GeneratedSkull",
    "Package",
    "find_package",
    "generate",
    "load_generator",
    "load_reference",
    "load_screener",
    "load_tool",
    "open_package",
    "settings_of",
]
