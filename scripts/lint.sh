#!/usr/bin/env bash
# Every static check, each with its time. All of them run; the exit status tells whether one failed.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=node_modules/.bin
failed=()

check() {
  local name=$1 start=$SECONDS
  shift
  if "$@"; then
    echo "lint: $name ok ($((SECONDS - start)) s)"
  else
    echo "lint: $name FAILED ($((SECONDS - start)) s)"
    failed+=("$name")
  fi
}

check_generated() {
  if [[ ! -f build/Release/ampgrad.node ]]; then
    echo "check:gen needs the addon: run npm run build:native first" >&2
    return 1
  fi
  node scripts/gen.mjs --check && node scripts/ops-matrix.mjs --check
}

check includes node scripts/check-includes.mjs
check exports node scripts/build-esm.mjs --check
check generated check_generated
check prettier "$bin/prettier" --check --log-level warn .
check eslint "$bin/eslint" .
check types "$bin/tsc" --noEmit
check clang-format bash scripts/format-native.sh
check clang-tidy bash scripts/tidy-native.sh

if ((${#failed[@]} > 0)); then
  echo "lint: failed: ${failed[*]}"
  exit 1
fi
