"""The hosted partition: virtual hosted device driver, TCP and IP mechanisms."""
