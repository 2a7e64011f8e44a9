"""`python -m progress_ws`, the same as the command `progress-ws`."""

from progress_ws.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
