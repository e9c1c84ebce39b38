"""DICOM series as volumes, and skulls as DICOM segmentations."""
