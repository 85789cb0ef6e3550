"""The modules here are the twins of those in `launch_async.deploy.previews`."""
