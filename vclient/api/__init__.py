"""The hub's API, one file a resource: paths and messages, no decisions."""
