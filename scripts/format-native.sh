#!/usr/bin/env bash
# clang-format over native/ and bench/: checks by default, rewrites with --write.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=(--dry-run -Werror)
[[ "${1:-}" == --write ]] && mode=(-i)
find native bench -type f \( -name '*.h' -o -name '*.cpp' -o -name '*.inc' -o -name '*.cu' -o -name '*.cuh' \) -print0 |
  xargs -0 -r "${CLANG_FORMAT:-clang-format}" "${mode[@]}"
