"""`python -m launch_async.cli`: the command without its script."""

from launch_async.cli import main

if __name__ == "__main__":
    main()
