#!/usr/bin/env bash
# Runs test/cuda with device 'cuda' on the emulator (native/simt), once for each of three seeds.
# The addon must have been built; the emulated CUDA library is built here.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --build build-cmake --target ampgrad_simt --parallel "${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}"
export AMPGRAD_CUDA_LIBRARY=$PWD/build/Release/ampgrad_simt.so
# Every allocation is one of the device's own, so that an access out of bounds is caught.
export AMPGRAD_CUDA_NO_CACHING=1
for seed in 1 2 3; do
  echo "test-cuda: seed $seed"
  AMPGRAD_SIMT_SEED=$seed npx jest test/cuda "$@"
done
