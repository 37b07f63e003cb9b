"""Sealed bytes under their id: stored once, readable by nobody here, deliverable to any number of readers."""
