#!/usr/bin/env bash
# Random calls of every op under AddressSanitizer and UndefinedBehaviorSanitizer:
#   npm run fuzz -- --calls 100000 --seed 1
# Builds an addon with sanitizers in folders of its own. Any report ends the process with an error.
set -euo pipefail
cd "$(dirname "$0")/.."
addon=$PWD/build-sanitize
mkdir -p "$addon"
node scripts/build-native.mjs --out=build-cmake-sanitize -DAMPGRAD_SANITIZE=address,undefined \
  "-DAMPGRAD_ADDON_DIR=$addon/build/Release" >"$addon/build.log" 2>&1 || {
    tail -40 "$addon/build.log"
    exit 1
  }
# node-gyp-build looks under AMPGRAD_PREBUILD; the runtimes must come before Node itself. Leaks are
# the business of test/memory: V8 frees nothing at exit.
preload=$(g++ -print-file-name=libasan.so):$(g++ -print-file-name=libubsan.so)
export AMPGRAD_PREBUILD=$addon
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:${ASAN_OPTIONS:-}
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:${UBSAN_OPTIONS:-}
LD_PRELOAD=$preload exec node --import tsx test/fuzz/main.ts "$@"
