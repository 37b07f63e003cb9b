"""The researcher's command line."""

from importlib.metadata import PackageNotFoundError, version

from vruntime.cli import program


def own_version() -> str:
    """As the distribution says; a source tree that was not installed has none."""
    try:
        return version("vestal")
    except PackageNotFoundError:
        return "0+source"


main = program("vclient", "vclient.cli", "Ask many data holders one question; only you can read the answers.")
