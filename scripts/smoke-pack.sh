#!/usr/bin/env bash
# Packs the package as it would be published and uses it from an empty folder: installed from the
# tarball without scripts, loaded by require and by import, type-checked from both.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

npm run build:ts
npm run build:prebuilds
npm pack --silent --pack-destination "$work"
tarball=$(echo "$work"/ampgrad-*.tgz)
echo "smoke-pack: $(basename "$tarball"), $(stat -c %s "$tarball") bytes"
node_modules/.bin/publint run "$tarball" --strict

mkdir "$work/app"
cp scripts/smoke/* "$work/app/"
cd "$work/app"
npm init -y >/dev/null
npm install --ignore-scripts --prefer-offline --no-audit --no-fund "$tarball"
if [[ -e node_modules/ampgrad/build ]]; then
  echo "smoke-pack: the package must load its prebuild, not a build" >&2
  exit 1
fi
node smoke.cjs
node smoke.mjs
"$root/node_modules/.bin/tsc" --noEmit --strict --target es2022 --lib es2022,esnext.disposable \
  --module node16 --typeRoots "$root/node_modules/@types" --types node types.mts types.cts
echo "smoke-pack: ok"
