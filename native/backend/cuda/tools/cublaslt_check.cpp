// Opens the real cuBLASLt as the backend does, with every function that the backend needs, and asks
// it for a handle. Without a GPU the library refuses that, which is reported as such: the check is
// that the library loads and is one that this code can use. Exit status 1: it is not.
#include <cstdio>
#include <exception>

#include "backend/cuda/cublas.h"

int main() {
  using ampgrad::cuda::CublasLt;
  const CublasLt* table = nullptr;
  try {
    table = &ampgrad::cuda::cublaslt();
  } catch (const std::exception& error) {
    std::printf("cublaslt: %s\n", error.what());
    return 1;
  }
  int functions = 0;
#define AG_COUNT(name) functions += table->name != nullptr ? 1 : 0;
  AG_CUBLASLT_FUNCTIONS(AG_COUNT)
#undef AG_COUNT
  std::printf("cublaslt: version %zu, %d functions resolved\n", table->cublasLtGetVersion(),
              functions);
  cublasLtHandle_t handle = nullptr;
  try {
    ampgrad::cuda::check_cublas(table->cublasLtCreate(&handle), "cublasLtCreate");
  } catch (const std::exception& error) {
    std::printf("cublaslt: %s\n", error.what());
    return 0;
  }
  std::printf("cublaslt: a handle was made, there is a GPU\n");
  return 0;
}
