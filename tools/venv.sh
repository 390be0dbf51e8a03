#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Creates .venv and installs this project with the extras named in $1 ("dev,train"), using only
# files whose hashes are in locks/.
set -eu
cd "$(dirname "$0")/.."
case $PWD in
*[\"\$\`\\:]*)
  # pip quotes script paths with ", SCons expands $, PYTHONPATH and PATH split at :
  printf 'move %s to a path without " $ ` \\ and :\n' "$PWD" >&2
  exit 2
  ;;
esac
if [ ! -x .venv/bin/pip ]; then
  rm -rf .venv
  if ! python3 -m venv .venv 2>/dev/null; then
    # Debian packages venv separately from python3
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
locks="-r locks/build.txt -r locks/base.txt"
for extra in $(echo "$1" | tr , ' '); do
  locks="$locks -r locks/$extra.txt"
done
pip=".venv/bin/python -m pip --disable-pip-version-check"
# wheels only: building a source package would download build tools that no lock lists
$pip install -q --require-hashes --only-binary :all: -r locks/build.txt
# except cobs, which has no Linux wheels: built with the tools of locks/build.txt; without a C
# compiler it installs its slower Python version
$pip install -q --require-hashes --only-binary :all: --no-binary cobs --no-build-isolation $locks
$pip install -q --no-deps --no-build-isolation -e .
case ,$1, in *,train,*) $pip install -q --no-deps --no-build-isolation -e hil_train ;; esac
