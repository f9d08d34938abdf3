"""What the ``byway`` command can do, a file for each of its commands."""
