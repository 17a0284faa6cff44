#!/usr/bin/env bash
# Compiles the bridge; takes the path of a scienceworld.jar. Needs javac 17, since a test compares its output with `classes`.
set -euo pipefail
jar=$(realpath "$1")
cd "$(dirname "$0")"
javac --release 8 -g:none -Xlint:-options -cp "$jar" -d classes Bridge.java
