"""All views. Importing this module registers them; `launch_async._views` imports it."""

from launch_async.display import fleet, frame, junit, markdown, models, state, tracebacks, workflows

__all__ = ["fleet", "frame", "junit", "markdown", "models", "state", "tracebacks", "workflows"]
