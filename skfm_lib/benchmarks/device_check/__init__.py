"""``skfm check-device``: whether a device computes what the CPU does, and how fast."""

from skfm_lib.benchmarks.device_check.report import CHECKS, Finding, as_page, check

__all__ = ["CHECKS", "Finding", "as_page", "check"]
