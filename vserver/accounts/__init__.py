"""People who log in, what they may do, and the tokens by which people and nodes are known."""
