"""Run the command as `python -m server.cli`."""

import sys

from server.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
