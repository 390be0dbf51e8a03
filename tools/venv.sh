#!/bin/sh
# Makes .venv and installs this project into it with the extras named in $1.
set -eu
cd "$(dirname "$0")/.."
if [ ! -x .venv/bin/pip ]; then
  rm -rf .venv
  if ! python3 -m venv .venv 2>/dev/null; then
    # Debian ships venv apart from python3
    echo "python3 -m venv does not work here: installing python3-venv"
    if [ "$(id -u)" = 0 ]; then sudo=; else sudo="sudo -n"; fi
    $sudo apt-get update -q && $sudo apt-get install -q -y python3-venv || {
      echo "run: sudo apt-get install python3-venv" >&2
      exit 2
    }
    rm -rf .venv
    python3 -m venv .venv
  fi
fi
echo "installing Python packages into .venv (once)"
.venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[$1]"
