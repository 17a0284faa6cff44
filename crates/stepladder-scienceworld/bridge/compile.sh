#!/usr/bin/env bash
# Compiles the bridge; give the path of a scienceworld.jar. Do it with javac 17, whose output tests compare with `classes`.
set -euo pipefail
jar=$(realpath "$1")
cd "$(dirname "$0")"
javac --release 8 -g:none -Xlint:-options -cp "$jar" -d classes Bridge.java
