"""The researcher's command line."""

from importlib import metadata  # not its `version`: the command of that name is a module of this package

from vruntime.cli import program


def own_version() -> str:
    """As the distribution says; a source tree that was not installed has none."""
    try:
        return metadata.version("vestal")
    except metadata.PackageNotFoundError:
        return "0+source"


main = program(
    "vclient",
    "vclient.cli",
    "Ask many data holders one question; only you can read the answers.",
    version=own_version(),
)
