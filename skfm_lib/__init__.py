"""skfm: synthetic skulls by flow matching (MIDL 2026), as a study one can run."""

__version__ = "0.1.0"
