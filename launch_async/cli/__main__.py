"""Runs the command as `python -m launch_async.cli`."""

from launch_async.cli import main

if __name__ == "__main__":
    main()
