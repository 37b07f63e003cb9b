"""`python -m vnode`: the same as `vnode`."""

from vnode.cli import main

if __name__ == "__main__":
    main(None)
