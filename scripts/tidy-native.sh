#!/usr/bin/env bash
# clang-tidy over the C++ units, from the compile database of the addon build. SIMD units (those
# that Highway compiles once a target) are skipped: their code is macro text that clang-tidy reads
# for one target only, slowly. With arguments, only the units named are read. One unit a process, the
# largest first, so that no core waits long for the last one.
#
# AMPGRAD_TIDY_NODES is how far the analyzer searches a function, in states. Its own default, 225000,
# takes three times as long over the largest functions, and half of the pipeline's time.
set -euo pipefail
cd "$(dirname "$0")/.."
database=build-cmake/compile_commands.json
if [[ ! -f $database ]]; then
  echo "tidy-native: $database is missing: run npm run build:native first" >&2
  exit 1
fi
if (($# > 0)); then
  units=("$@")
else
  mapfile -t units < <(grep -rLE 'foreach_target' native --include='*.cpp' | grep -v '^native/tests/' |
    xargs ls -S)
fi
echo "tidy-native: ${#units[@]} units, SIMD units and tests skipped"
printf '%s\0' "${units[@]}" |
  xargs -0 -n 1 -P "${AMPGRAD_JOBS:-$(nproc)}" "${CLANG_TIDY:-clang-tidy}" --quiet -p build-cmake \
    --extra-arg=-Xclang --extra-arg=-analyzer-config \
    --extra-arg=-Xclang --extra-arg="max-nodes=${AMPGRAD_TIDY_NODES:-20000}" 2> >(
    grep -vE '^[0-9]+ warnings? generated|^Suppressed|^Use -header-filter|^$' >&2
  )
