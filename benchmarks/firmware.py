"""What the shipped firmware costs: the figures of `tinyfleet sim bench`, for all cores."""

import sys

from harness import main

from server.bench import figures

if __name__ == "__main__":
    sys.exit(main(figures, __doc__ or ""))
