"""Federated statistics whose answers equal those on the joined data."""
