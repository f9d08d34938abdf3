"""Puts pip into a Python that has none: ``ENVIRONMENT/bin/python sim/bootstrap_pip.py``.

Debian ships Python without pip and without what venv would take it from. This fetches one pinned
wheel, by default from PyPI or else from the index that ``PIP_INDEX_URL`` names, compares its
SHA-256, and lets the pip inside install itself. Needs the standard library alone.
"""

import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request

WHEEL = "pip-25.3-py3-none-any.whl"
SHA256 = "9655943313a94722b7774661c21049070f6bbb0a1516bf02f7c8d5d9201514cd"


def fetch(index: str) -> bytes:
    """The wheel from a package index [PEP 503]; raises `LookupError` if it is not there."""
    page_address = f"{index.rstrip('/')}/pip/"
    with urllib.request.urlopen(page_address, timeout=60) as page:
        link = re.search(rf'href="([^"]*/{re.escape(WHEEL)})[#"]', page.read().decode())
    if link is None:
        raise LookupError(f"{page_address} does not list {WHEEL}")
    with urllib.request.urlopen(urllib.parse.urljoin(page_address, link[1]), timeout=60) as file:
        wheel = file.read()
    if hashlib.sha256(wheel).hexdigest() != SHA256:
        raise LookupError(f"{WHEEL} from {index} has another SHA-256 than expected")
    return wheel


def main() -> int:
    """Fetch pip and let it install itself; exit code 2 if it cannot be had."""
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple")
    try:
        wheel = fetch(index)
    except (LookupError, urllib.error.URLError, TimeoutError) as error:
        print(f"Cannot get pip: {error}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / WHEEL
        path.write_bytes(wheel)
        command = [sys.executable, f"{path}/pip", "install", "--quiet", "--no-index", str(path)]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
