"""`python -m vserver`: the same as `vserver`."""

from vserver.cli import main

if __name__ == "__main__":
    main(None)
