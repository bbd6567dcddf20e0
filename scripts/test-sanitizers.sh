#!/usr/bin/env bash
# Everything that runs on the emulator, and the C++ tests, under AddressSanitizer and
# UndefinedBehaviorSanitizer:
#   npm run test:sanitizers             all of it
#   npm run test:sanitizers -- simt     one or more of simt, native, cuda, cpu
# simt: the emulator's own tests; every planted bug under each of their seeds.
# native: the C++ unit tests.
# cuda: test/cuda and parity cases on the emulator, every tensor an allocation of its own, so that a
#   read or write behind it is reported; AMPGRAD_SIMT_SEEDS (1) in full, and the op table under
#   AMPGRAD_SIMT_TABLE_SEEDS (2).
# cpu: the op table and autograd on the CPU.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/sanitized.sh

parts=("$@")
((${#parts[@]} > 0)) || parts=(simt native cuda cpu)
targets=()
for part in "${parts[@]}"; do
  case $part in
    simt) targets+=(simt_tests) ;;
    native) targets+=(ampgrad_tests) ;;
    cuda) targets+=(ampgrad ampgrad_simt) ;;
    cpu) targets+=(ampgrad) ;;
    *)
      echo "test-sanitizers: unknown part '$part': simt, native, cuda or cpu" >&2
      exit 2
      ;;
  esac
done

failed=()
run() {
  local name=$1 start=$SECONDS
  shift
  echo "test-sanitizers: $name"
  if "$@"; then
    echo "test-sanitizers: $name ok ($((SECONDS - start)) s)"
  else
    echo "test-sanitizers: $name FAILED ($((SECONDS - start)) s)"
    failed+=("$name")
  fi
}

emulated() {
  local seed=$1
  shift
  AMPGRAD_CUDA_LIBRARY=$sanitized/build/Release/ampgrad_simt.so AMPGRAD_CUDA_NO_CACHING=1 \
    AMPGRAD_SIMT_SEED=$seed sanitized_node node_modules/jest/bin/jest.js "$@"
}

run build sanitized_build "${targets[@]}"
((${#failed[@]} == 0)) || exit 1
for part in "${parts[@]}"; do
  case $part in
    simt) run "the emulator's tests" build-cmake-sanitize/simt_tests ;;
    native) run 'C++ unit tests' build-cmake-sanitize/ampgrad_tests ;;
    cuda)
      for seed in ${AMPGRAD_SIMT_SEEDS:-1}; do
        run "test/cuda on the emulator, seed $seed" emulated "$seed" test/cuda
        AMPGRAD_TEST_DEVICE=cuda run "parity cases on the emulator, seed $seed" \
          emulated "$seed" test/parity/operators test/parity/modules
      done
      for seed in ${AMPGRAD_SIMT_TABLE_SEEDS:-2}; do
        run "the op table on the emulator, seed $seed" emulated "$seed" test/cuda/table.test.ts
      done
      ;;
    cpu) run 'op table and autograd on the CPU' sanitized_node node_modules/jest/bin/jest.js test/ops test/autograd ;;
  esac
done

if ((${#failed[@]} > 0)); then
  echo "test-sanitizers: failed: ${failed[*]}"
  exit 1
fi
