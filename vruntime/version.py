"""The version of this distribution."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("vestal")
except PackageNotFoundError:  # a source tree that was never installed
    VERSION = "0.0.0"
