#!/usr/bin/env bash
# Every static check, each with its time. All of them run; the exit status tells whether one failed.
# Those of TypeScript use one core each: they run beside clang-tidy, and report after it.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=node_modules/.bin
failed=()
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT

# Returns the status of the check.
run() {
  local name=$1 start=$SECONDS
  shift
  if "$@"; then
    echo "lint: $name ok ($((SECONDS - start)) s)"
  else
    echo "lint: $name FAILED ($((SECONDS - start)) s)"
    return 1
  fi
}

check() {
  run "$@" || failed+=("$1")
}

# check_later starts a check, join waits for all of them.
later=()
declare -A process=()
check_later() {
  run "$@" >"$reports/$1" 2>&1 &
  later+=("$1")
  process[$1]=$!
}

join() {
  local name
  for name in "${later[@]}"; do
    wait "${process[$name]}" || failed+=("$name")
    cat "$reports/$name"
  done
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
check clang-format bash scripts/format-native.sh
check_later prettier "$bin/prettier" --check --log-level warn .
check_later types "$bin/tsc" --noEmit
check_later eslint "$bin/eslint" .
check clang-tidy bash scripts/tidy-native.sh
join

if ((${#failed[@]} > 0)); then
  echo "lint: failed: ${failed[*]}"
  exit 1
fi
