"""What hangs on the wire: captures and the link partner."""
