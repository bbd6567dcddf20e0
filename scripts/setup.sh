#!/usr/bin/env bash
# Makes a checkout ready to work in: system packages, node_modules, addon and dist. Each step is
# skipped when its result is there, so it is safe and quick to run again.
set -euo pipefail
cd "$(dirname "$0")/.."

# Nothing goes on behind a failure.
trap wait EXIT

has() { command -v "$1" >/dev/null 2>&1; }

missing=()
has cmake || missing+=(cmake)
has ninja || missing+=(ninja-build)
has g++ || missing+=(g++)
has pkg-config || missing+=(pkg-config)
[[ -f /usr/include/hwy/highway.h ]] || missing+=(libhwy-dev)
compgen -G '/usr/lib/*/openblas-serial/libopenblas.so.0' >/dev/null || missing+=(libopenblas0-serial)
[[ -f /usr/include/doctest/doctest.h ]] || missing+=(doctest-dev)
has clang-format || missing+=(clang-format)
has clang-tidy || missing+=(clang-tidy)
has ccache || missing+=(ccache)

install_missing() {
  local sudo=()
  if ((EUID != 0)); then sudo=(sudo); fi
  echo "setup: installing ${missing[*]}"
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

system=
if ((${#missing[@]} > 0)); then
  if ! has apt-get; then
    echo "setup: these Debian packages are missing, install their like: ${missing[*]}" >&2
    exit 1
  fi
  if ((EUID != 0)) && ! { has sudo && sudo -n true 2>/dev/null; }; then
    echo "setup: system packages are missing. Run:" >&2
    echo "  sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
  install_missing &
  system=$!
fi

# Meanwhile npm's: both wait for the network more than they compute.
if [[ node_modules/.package-lock.json -nt package-lock.json ]]; then
  echo "setup: node_modules is up to date"
else
  npm ci
fi
[[ -z $system ]] || wait "$system"

# Other Node versions for the tests, in a folder of their own so that no script runs under them. They
# come while the addon is built.
runtimes=
if [[ $(uname -sm) == 'Linux x86_64' ]]; then
  if [[ test/runtimes/node_modules/.package-lock.json -nt test/runtimes/package-lock.json ]]; then
    echo "setup: test/runtimes is up to date"
  else
    npm ci --prefix test/runtimes &
    runtimes=$!
  fi
fi
npm run build
[[ -z $runtimes ]] || wait "$runtimes"
