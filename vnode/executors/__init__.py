"""How a node runs algorithms. `base` is the contract; one file an executor."""
