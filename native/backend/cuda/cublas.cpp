#include "backend/cuda/cublas.h"

#include <dlfcn.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "backend/cuda/allocator.h"
#include "backend/cuda/check.h"
#include "backend/cuda/context.h"

namespace ampgrad::cuda {

namespace {

#if defined(AMPGRAD_SIMT)

void load(CublasLt* table) {
#define AG_TAKE(name) table->name = &::name;
  AG_CUBLASLT_FUNCTIONS(AG_TAKE)
#undef AG_TAKE
}

#else

// The exact version first: a table of 13.x functions must not meet an older library.
void* open_library(std::string* tried) {
  std::string candidates[4];
  int n = 0;
  if (const char* path = std::getenv("AMPGRAD_CUBLASLT")) candidates[n++] = path;
  candidates[n++] = "libcublasLt.so.13";
  if (const char* home = std::getenv("CUDA_PATH")) {
    candidates[n++] = std::string(home) + "/lib64/libcublasLt.so.13";
  }
  candidates[n++] = "/usr/local/cuda/lib64/libcublasLt.so.13";
  for (int i = 0; i < n; ++i) {
    if (void* library = dlopen(candidates[i].c_str(), RTLD_NOW | RTLD_GLOBAL)) return library;
    *tried += "\n  " + candidates[i] + ": " + dlerror();
  }
  return nullptr;
}

void load(CublasLt* table) {
  std::string tried;
  void* library = open_library(&tried);
  AG_CHECK(library != nullptr, Cuda,
           "matrix products on CUDA need cuBLAS 13, which could not be loaded. Install it (for "
           "example with 'pip install nvidia-cublas') and set AMPGRAD_CUBLASLT to the path of "
           "libcublasLt.so.13. Tried:",
           tried);
#define AG_FIND(name)                                                       \
  table->name = reinterpret_cast<decltype(&::name)>(dlsym(library, #name)); \
  AG_CHECK(table->name != nullptr, Cuda, "libcublasLt has no function " #name);
  AG_CUBLASLT_FUNCTIONS(AG_FIND)
#undef AG_FIND
}

#endif

constexpr size_t kHopperWorkspace = size_t{32} << 20;
constexpr size_t kSmallWorkspace = size_t{4} << 20;

struct PerStream {
  cublasLtHandle_t handle = nullptr;
  Workspace workspace{nullptr, 0};
};

std::mutex& mutex() {
  static auto* one = new std::mutex();
  return *one;
}

// A workspace serves one stream: products of two streams run at the same time, and with a workspace
// of their own their results stay the same from run to run.
PerStream& per_stream() {
  static auto* all = new std::map<std::pair<int, cudaStream_t>, PerStream>();
  const std::lock_guard<std::mutex> lock(mutex());
  const DeviceContext& context = current_context();
  PerStream& d = (*all)[{context.index, stream_on(context.index)}];
  if (d.handle == nullptr) {
    check_cublas(cublaslt().cublasLtCreate(&d.handle), "cublasLtCreate");
    const size_t bytes = context.properties.major >= 9 ? kHopperWorkspace : kSmallWorkspace;
    d.workspace = {context.allocator->allocate(bytes), bytes};
    if (d.workspace.data == nullptr) d.workspace.bytes = 0;  // does without
  }
  return d;
}

const char* status_text(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "not initialised (no usable driver or device)";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "allocation failed";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "invalid value";
    case CUBLAS_STATUS_ARCH_MISMATCH:
      return "not possible on this architecture";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "execution failed";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "not supported";
    default:
      return "internal error";
  }
}

}  // namespace

const CublasLt& cublaslt() {
  static const auto* const table = [] {
    auto* t = new CublasLt();
    load(t);
    return t;
  }();
  return *table;
}

cublasLtHandle_t cublaslt_handle() { return per_stream().handle; }
Workspace cublaslt_workspace() { return per_stream().workspace; }

void check_cublas(cublasStatus_t status, const char* what) {
  AG_CHECK(status == CUBLAS_STATUS_SUCCESS, Cuda, what, ": cuBLAS error ", static_cast<int>(status),
           " (", status_text(status), ")");
}

}  // namespace ampgrad::cuda
