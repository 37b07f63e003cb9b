"""Who takes part, and the public identity that each organization signs for itself."""
