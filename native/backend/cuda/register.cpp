#include "backend/cuda/register.h"

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>

#include "backend/cuda/library.h"
#include "ops/kernels.h"

namespace ampgrad {

namespace {

using OpenFn = const char* (*)(const CudaHost*, DeviceBackend**);

void set_kernel(OpId op, DType dtype, void (*fn)(), const void* data) {
  KernelTable::set_erased(op, DeviceType::Cuda, dtype, {fn, data});
}

void* allocate(int device, size_t bytes) {
  return allocate_or_throw({DeviceType::Cuda, static_cast<int8_t>(device)}, bytes);
}

// The folder of the addon, with a slash at its end.
std::string own_folder() {
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&register_cuda_backend), &info) == 0) return {};
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/') + 1);
}

// Empty, or why not.
std::string open_library(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return "the CUDA library could not be loaded: " + std::string(dlerror());
  const auto open = reinterpret_cast<OpenFn>(dlsym(library, "ampgrad_cuda_open"));
  if (open == nullptr) return path + " is not a CUDA library of ampgrad";
  CudaHost host;
  host.abi = cuda_abi();
  host.set_kernel = &set_kernel;
  host.allocate = &allocate;
  host.matmul = &matmul_flags();
  DeviceBackend* backend = nullptr;
  if (const char* reason = open(&host, &backend)) return reason;
  set_cuda_backend(backend);
  return {};
}

}  // namespace

void register_cuda_backend() {
  static std::once_flag once;
  std::call_once(once, [] {
    const char* chosen = std::getenv("AMPGRAD_CUDA_LIBRARY");
    const std::string path =
        chosen != nullptr && *chosen != '\0' ? chosen : own_folder() + "ampgrad_cuda.so";
    const std::string reason = open_library(path);
    if (!reason.empty()) set_cuda_unavailable(reason);
  });
}

}  // namespace ampgrad
