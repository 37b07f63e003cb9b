"""The I/O kit that hub, node, client and their command lines share: one door for each outside thing."""
