#!/usr/bin/env bash
# Builds and runs the C++ unit tests in build-cmake-tests (under sanitizers: test-sanitizers.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
cmake -S . -B build-cmake-tests -G Ninja -DAMPGRAD_BUILD_TESTS=ON -DAMPGRAD_BUILD_ADDON=OFF
cmake --build build-cmake-tests --parallel "${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}"
ctest --test-dir build-cmake-tests --output-on-failure --no-tests=error
