"""What scenarios raise."""

__all__ = ["ScenarioError"]


class ScenarioError(Exception):
    """A run could not be carried out; the text says why in one line."""
