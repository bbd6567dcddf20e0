#!/usr/bin/env bash
# Builds the CUDA library, build/Release/ampgrad_cuda.so, with nvcc, and checks what it needs of ptxas
# (hot kernels do not spill) and of cuBLASLt (every function is there). AMPGRAD_CUDA_ARCHITECTURES
# ("75;90") restricts it to some architectures. What the toolkit lacks is installed first.
set -euo pipefail
cd "$(dirname "$0")/.."
export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$PWD} CCACHE_NOHASHDIR=1
nvcc=$(bash scripts/cuda-headers.sh | tail -1)
architectures=${AMPGRAD_CUDA_ARCHITECTURES:-75;80;86;89;90;100;120}
wheels=$PWD/build-cuda/wheels/nvidia/cu13
[[ -d $wheels ]] || wheels=
# With the definition of cmake-js, ccache knows the units that the addon has too.
cmake -S . -B build-cuda -G Ninja --log-level=WARNING -DAMPGRAD_BUILD_ADDON=OFF \
  -DCMAKE_CXX_FLAGS=-DBUILDING_NODE_EXTENSION \
  -DAMPGRAD_BUILD_CUDA=ON -DCMAKE_CUDA_COMPILER="$nvcc" -DAMPGRAD_CUDA_WHEELS="$wheels" \
  -DAMPGRAD_CUDA_ARCHITECTURES="$architectures"
cmake --build build-cuda --target ampgrad_cuda cublaslt_check --parallel "${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}"
echo "build-cuda: compiled every unit for sm_${architectures//;/, sm_} with $("$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/nvcc \1/p')"
case ";$architectures;" in
  *';75;'*';90;'*) node scripts/check-ptxas.mjs --arch=75,90 ;;
  *) node scripts/check-ptxas.mjs --arch="${architectures//;/,}" ;;
esac
library=$wheels/lib/libcublasLt.so.13
if [[ -z ${AMPGRAD_CUBLASLT:-} && -f $library ]]; then export AMPGRAD_CUBLASLT=$library; fi
build-cuda/native/backend/cuda/cublaslt_check
