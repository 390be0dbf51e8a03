#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Regenerates constraints.txt and locks/*.txt from pyproject.toml: every package, for every platform
# and Python that it allows, with the hashes of all its files. Versions in constraints.txt stay
# pinned; to get newer ones, remove their lines first (or empty the file), then run this.
set -eu
cd "$(dirname "$0")/.."
UV=${UV:-uv} # pip install uv
"$UV" --version >/dev/null 2>&1 || { echo "tools/lock.sh needs uv: pip install uv" >&2; exit 2; }
extras=$(python3 -c '
import tomllib
with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["project"]["optional-dependencies"])')
compile="$UV pip compile -q --universal --no-header --no-annotate --no-emit-index-url"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# what builds this project itself; editables is for `pip install -e`, setuptools builds esptool,
# which has no wheels
python3 -c '
import tomllib
with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["build-system"]["requires"], "editables", "setuptools", sep="\n")' >"$work/build.in"

pins() { # of a compiled file: NAME==VERSION, for any platform
  grep -oE '^[A-Za-z0-9_.-]+==[^ ;]+' "$1" | sort -fu
}

$compile pyproject.toml --all-extras -c constraints.txt -o "$work/all.txt" >/dev/null
$compile "$work/build.in" -c "$work/all.txt" -o "$work/build.txt" >/dev/null
cat "$work/all.txt" "$work/build.txt" >"$work/both.txt"
pins "$work/both.txt" >constraints.txt
# programs with an environment of their own, each with a constraints file
peers="labgrid esptool4 esptool5"
for peer in $peers; do
  $compile "constraints-$peer.txt" -o "$work/$peer.txt" >/dev/null
  pins "$work/$peer.txt" >"constraints-$peer.txt"
done

locked() { # NAME ARGUMENTS...: locks/NAME.txt with every hash, without what base.txt has
  name=$1
  shift
  {
    echo "# Made by tools/lock.sh; tools/venv.sh installs it with --require-hashes."
    $compile --generate-hashes "$@" | awk -v base="$without" '
      function flush() { if (block != "" && !(block in known)) printf "%s", block; block = "" }
      BEGIN {
        while ((getline line < base) > 0) {
          if (line !~ /^ /) { known[block]; block = "" }
          block = block line "\n"
        }
        known[block]; block = ""
      }
      /^[^ ]/ { flush() }
      { block = block $0 "\n" }
      END { flush() }'
  } >"$work/$name.lock"
  mv "$work/$name.lock" "locks/$name.txt"
}

mkdir -p locks
without=/dev/null
locked build "$work/build.in" -c constraints.txt
locked base pyproject.toml -c constraints.txt
without=locks/base.txt
for extra in $extras; do
  locked "$extra" pyproject.toml --extra "$extra" -c constraints.txt
done
without=/dev/null
for peer in $peers; do
  locked "$peer" "constraints-$peer.txt"
done
