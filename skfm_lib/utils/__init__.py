"""Files, seeds, progress, devices and processes: what every room may use."""
