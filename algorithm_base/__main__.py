"""`python -m algorithm_base MODULE`: what an algorithm image runs."""

import sys

from algorithm_base.main import main

if __name__ == "__main__":
    sys.exit(main())
