#!/usr/bin/env bash
# clang-tidy over the C++ units, from the compile database of the addon build. SIMD units (those
# that Highway compiles once a target) are skipped: their code is macro text that clang-tidy reads
# for one target only, slowly. With arguments, only the units named are read, one a process.
#
# Without, units that share no name are read as one file (merge-units.mjs), the largest first, so that
# no core waits long for the last one. Where such a file has a finding, its units are read alone: what
# counts and is printed is what clang-tidy says of them.
#
# AMPGRAD_TIDY_NODES is how far the analyzer searches a function, in states. Its own default, 225000,
# takes three times as long over the largest functions, and half of the pipeline's time.
set -euo pipefail
cd "$(dirname "$0")/.."
database=build-cmake/compile_commands.json
merged=build-cmake/tidy
if [[ ! -f $database ]]; then
  echo "tidy-native: $database is missing: run npm run build:native first" >&2
  exit 1
fi

# tidy FOLDER UNIT...: with the compile database of that folder.
tidy() {
  "${CLANG_TIDY:-clang-tidy}" --quiet -p "$@" \
    --extra-arg=-Xclang --extra-arg=-analyzer-config \
    --extra-arg=-Xclang --extra-arg="max-nodes=${AMPGRAD_TIDY_NODES:-20000}" 2> >(
      grep -vE '^[0-9]+ warnings? generated|^Suppressed|^Use -header-filter|^$' >&2
    )
}

tidy_alone() {
  local unit status=0
  for unit in "$@"; do tidy build-cmake "$unit" || status=1; done
  return $status
}

# tidy_merged NUMBER: one file of merge-units.mjs.
tidy_merged() {
  local units log=$merged/$1.log
  mapfile -t units <"$merged/$1.units"
  if ((${#units[@]} > 1)); then
    if tidy "$merged" "$merged/$1.cpp" >"$log" 2>&1 && [[ ! -s $log ]]; then return 0; fi
    tidy_alone "${units[@]}" || return 1
    echo "tidy-native: a finding in no single unit of ${units[*]}: see $log"
  else
    tidy_alone "${units[@]}"
  fi
}

jobs=${AMPGRAD_JOBS:-$(nproc)}
export merged
export -f tidy tidy_alone tidy_merged
if (($# > 0)); then
  echo "tidy-native: $# units"
  printf '%s\0' "$@" | xargs -0 -n 1 -P "$jobs" bash -c 'tidy_alone "$@"' _
else
  units=$(grep -rLE 'foreach_target' native --include='*.cpp' | grep -v '^native/tests/')
  files=$(node scripts/merge-units.mjs "$database" "$merged" <<<"$units")
  echo "tidy-native: $(wc -l <<<"$units") units in $(wc -l <<<"$files") files, SIMD units and tests skipped"
  xargs -n 1 -P "$jobs" bash -c 'tidy_merged "$@"' _ <<<"$files"
fi
