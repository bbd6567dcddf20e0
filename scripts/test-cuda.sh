#!/usr/bin/env bash
# Runs the op table, the parity cases, autograd, modules and optimizers on device 'cuda' of the emulator
# (native/simt), once for each of three seeds.
# The addon must have been built; the emulated CUDA library is built here.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --build build-cmake --target ampgrad_simt --parallel "${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}"
export AMPGRAD_CUDA_LIBRARY=$PWD/build/Release/ampgrad_simt.so
for seed in 1 2 3; do
  echo "test-cuda: seed $seed, every allocation one of the device's own, so that an access out of bounds is caught"
  export AMPGRAD_SIMT_SEED=$seed AMPGRAD_CUDA_NO_CACHING=1
  npx jest test/cuda "$@"
  AMPGRAD_TEST_DEVICE=cuda npx jest test/parity/operators test/parity/modules "$@"
  echo "test-cuda: seed $seed, the caching allocator"
  AMPGRAD_CUDA_NO_CACHING=0 AMPGRAD_TEST_DEVICE=cuda npx jest test/autograd test/nn test/optim "$@"
done
