#!/bin/sh
# Makes the private environment: sim/environment.sh PYTHON FOLDER. Versions are those of requirements.lock.
set -eu
python=$1
folder=$2

command -v "$python" >/dev/null 2>&1 || python=python3
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
  echo "Byway needs Python 3.11 or later; set PYTHON=/path/to/it" >&2
  exit 2
}

echo "Setting up $folder (once)"
if ! "$python" -m venv "$folder" >/dev/null 2>&1; then
  # Debian ships venv apart from Python; virtualenv serves as well where pip is there.
  rm -rf "$folder"
  "$python" -m pip install --quiet --target "$folder.bootstrap" virtualenv 2>/dev/null &&
    PYTHONPATH="$folder.bootstrap" "$python" -m virtualenv --quiet "$folder" || {
    echo "Byway needs Debian's package python3-venv (or pip) to make its environment" >&2
    exit 2
  }
  rm -rf "$folder.bootstrap"
fi
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.lock
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
