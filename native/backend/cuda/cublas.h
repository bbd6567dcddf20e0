// cuBLASLt as a table of functions, opened when the first matrix product asks for it: the library
// is large, and programs without a GPU do not have it.
#pragma once

#include <cublasLt.h>

#include "core/error.h"

namespace ampgrad::cuda {

#define AG_CUBLASLT_FUNCTIONS(X)          \
  X(cublasLtGetVersion)                   \
  X(cublasLtCreate)                       \
  X(cublasLtMatmulDescCreate)             \
  X(cublasLtMatmulDescDestroy)            \
  X(cublasLtMatmulDescSetAttribute)       \
  X(cublasLtMatrixLayoutCreate)           \
  X(cublasLtMatrixLayoutDestroy)          \
  X(cublasLtMatrixLayoutSetAttribute)     \
  X(cublasLtMatmulPreferenceCreate)       \
  X(cublasLtMatmulPreferenceDestroy)      \
  X(cublasLtMatmulPreferenceSetAttribute) \
  X(cublasLtMatmulAlgoGetHeuristic)       \
  X(cublasLtMatmul)

struct CublasLt {
#define AG_MEMBER(name) decltype(&::name) name = nullptr;
  AG_CUBLASLT_FUNCTIONS(AG_MEMBER)
#undef AG_MEMBER
};

// Raises ERR_CUDA with the names and paths tried when the library cannot be opened.
const CublasLt& cublaslt();
// The calling thread's current device's handle and workspace.
cublasLtHandle_t cublaslt_handle();
struct Workspace {
  void* data;
  size_t bytes;
};
Workspace cublaslt_workspace();

void check_cublas(cublasStatus_t status, const char* what);

}  // namespace ampgrad::cuda
