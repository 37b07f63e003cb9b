"""Sets of organizations that work together."""
