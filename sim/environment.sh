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
  # Debian ships what venv takes pip from in a package of its own: pip can be fetched as well.
  rm -rf "$folder"
  "$python" -m venv --without-pip "$folder"
  "$folder/bin/python" sim/bootstrap_pip.py
fi
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.lock
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .

# cocotb loads Python as a shared library, which Debian ships in a package of its own. That can be
# fetched without being root, into the environment, with lists of packages kept there too.
if [ -z "$("$folder/bin/python" -m find_libpython)" ]; then
  library=libpython$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_python_version())')
  mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial"
  (
    cd "$folder/apt"
    apt="apt-get -qq -o APT::Sandbox::User=root -o Dir::State::lists=$PWD/lists -o Dir::Cache=$PWD"
    $apt update && $apt download "$library" && dpkg -x "$library"_*.deb .
  ) >/dev/null && cp -L "$folder"/apt/usr/lib/*/"$library".so.* "$folder/lib/" ||
    echo "Without Debian's package $library (or another shared libpython), cocotb's engines will not run" >&2
  rm -rf "$folder/apt"
fi
