#!/usr/bin/env bash
# Builds and runs the C++ unit tests, from the libraries of the addon build, in the same folder (under
# sanitizers: test-sanitizers.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
node scripts/build-native.mjs --target=native_tests -DAMPGRAD_BUILD_TESTS=ON
ctest --test-dir build-cmake --output-on-failure --no-tests=error
