"""The only thing an algorithm container can reach: plain HTTP inside, sealed and signed outside.

It knows the container contract (`docs/container-contract.md`) and no keys: sealing and opening are done by the `Desk`
that it is given.
"""
