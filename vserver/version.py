"""Which Vestal this is."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("vestal")
except PackageNotFoundError:  # run from a checkout that was not installed
    VERSION = "0.1.0"
