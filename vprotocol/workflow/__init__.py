"""Workflows: steps joined by connections. Pure planning; nothing here knows hub or node."""
