"""The data stations: how they are known and whether they were seen lately."""
