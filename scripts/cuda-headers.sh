#!/usr/bin/env bash
# Installs what the CUDA toolkit on this machine lacks for building ampgrad_cuda, with pip from
# NVIDIA's wheels into build-cuda/wheels: the compiler, the runtime, cuBLAS. What is there already
# is left alone, so it is quick to run again. The last line it prints is the compiler to use.
set -euo pipefail
cd "$(dirname "$0")/.."
wheels=build-cuda/wheels
packed=$wheels/nvidia/cu13

# The folder of the toolkit that nvcc belongs to; nvcc itself may be a script elsewhere.
toolkit_of() {
  local top
  top=$("$1" -dryrun -E -x cu /dev/null 2>&1 | sed -n 's/^#\$ TOP=//p' | head -1)
  [[ -n $top ]] && (cd "$top" && pwd)
}

has_file() { compgen -G "$1" >/dev/null; }

missing=()
nvcc=$(command -v nvcc || true)
if [[ -z $nvcc ]]; then
  [[ -x $packed/bin/nvcc ]] || missing+=('nvidia-cuda-nvcc>=13,<14')
  toolkit=
else
  toolkit=$(toolkit_of "$nvcc") || { echo "cuda-headers: $nvcc does not name its toolkit" >&2; exit 1; }
fi

lacks() {
  local file
  for file in "$@"; do
    if [[ -n $toolkit ]] && has_file "$toolkit/$file"; then return 1; fi
    if has_file "$packed/$file"; then return 1; fi
  done
}
if lacks include/cuda_runtime.h || lacks lib64/libcudart_static.a lib/libcudart_static.a; then
  missing+=('nvidia-cuda-runtime>=13,<14')
fi
if lacks include/cublasLt.h; then missing+=('nvidia-cublas>=13,<14'); fi

if ((${#missing[@]} > 0)); then
  pip=(python3 -m pip)
  "${pip[@]}" --version >/dev/null 2>&1 || { echo "cuda-headers: pip is needed to install ${missing[*]}" >&2; exit 1; }
  echo "cuda-headers: installing ${missing[*]} into $wheels" >&2
  mkdir -p "$wheels"
  deps=--no-deps
  if [[ -z $nvcc ]]; then deps=; fi
  "${pip[@]}" install --quiet --retries 1 --root-user-action=ignore --only-binary :all: $deps \
    --upgrade --target "$wheels" "${missing[@]}" >&2
fi
if [[ -z $nvcc ]]; then nvcc=$PWD/$packed/bin/nvcc; fi
echo "$nvcc"
