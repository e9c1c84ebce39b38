"""The `skfm` command."""
