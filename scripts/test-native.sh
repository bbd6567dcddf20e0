#!/usr/bin/env bash
# Builds and runs the C++ unit tests in build-cmake-tests. AMPGRAD_SANITIZE=address,undefined
# builds them with sanitizers in a folder of their own.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
out=build-cmake-tests${AMPGRAD_SANITIZE:+-${AMPGRAD_SANITIZE//,/-}}
cmake -S . -B "$out" -G Ninja -DAMPGRAD_BUILD_TESTS=ON -DAMPGRAD_BUILD_ADDON=OFF \
  -DAMPGRAD_SANITIZE="${AMPGRAD_SANITIZE:-}"
cmake --build "$out" --parallel "$jobs"
ctest --test-dir "$out" --output-on-failure --no-tests=error
