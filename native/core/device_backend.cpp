#include "core/device_backend.h"

#include "core/async_backend.h"
#include "core/error.h"
#include "core/matmul_flags.h"

namespace ampgrad {

namespace {

DeviceBackend* cuda = nullptr;
void (*finder)() = nullptr;

std::string& reason() {
  static auto* text = new std::string("this program has not looked for CUDA");
  return *text;
}

}  // namespace

MatmulFlags& matmul_flags() {
  static auto* flags = new MatmulFlags();
  return *flags;
}

void set_cuda_backend(DeviceBackend* backend) { cuda = backend; }
void set_cuda_unavailable(std::string why) { reason() = std::move(why); }
void set_cuda_finder(void (*find)()) { finder = find; }

DeviceBackend* cuda_backend() {
  if (cuda == nullptr && finder != nullptr) finder();
  return cuda;
}

const std::string& cuda_unavailable_reason() {
  cuda_backend();
  return reason();
}

DeviceBackend& backend_for(Device device) {
  AG_CHECK(cuda_backend() != nullptr, Device, "device '", to_string(device),
           "' is not available: ", reason());
  const int count = cuda->device_count();
  AG_CHECK(device.index < count, Device, "device '", to_string(device), "' does not exist: there ",
           count == 1 ? "is " : "are ", count, " CUDA device", count == 1 ? "" : "s");
  return *cuda;
}

// Only CUDA's backend is ever set, and it is asynchronous (backend/cuda/backend.cpp).
AsyncBackend* async_backend() { return static_cast<AsyncBackend*>(cuda_backend()); }

AsyncBackend& async_backend_for(Device device) {
  return static_cast<AsyncBackend&>(backend_for(device));
}

}  // namespace ampgrad
