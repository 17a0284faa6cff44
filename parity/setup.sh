#!/usr/bin/env bash
# Creates one virtual environment per version of an original: two of ALFWorld, one of gym-sokoban.
#   parity/setup.sh [DIR]     DIR defaults to ~/.cache/stepladder/parity; PYTHON names the interpreter (default python3.11)
# fast-downward is compiled from source where pip has no built copy: a C++ compiler and cmake, about two minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/stepladder/parity}
python=${PYTHON:-python3.11}
mkdir -p "$target"
for requirements in "$here"/requirements/*.txt; do
    name=$(basename "$requirements" .txt)
    venv=$target/$name
    if [ -e "$venv/complete" ] && cmp -s "$requirements" "$venv/complete"; then
        echo "$venv is up to date"
        continue
    fi
    "$python" -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$requirements"
    # Written last, so that an interrupted installation is never taken for a finished one.
    cp "$requirements" "$venv/complete"
    echo "$venv installed"
done
