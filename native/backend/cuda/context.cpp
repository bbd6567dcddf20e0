#include "backend/cuda/context.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "backend/cuda/allocator.h"
#include "backend/cuda/check.h"
#include "backend/cuda/device/index_fault.h"

namespace ampgrad::cuda {

namespace {

struct Contexts {
  std::once_flag once;
  std::vector<std::unique_ptr<DeviceContext>> devices;
};

Contexts& contexts() {
  static auto* all = new Contexts();
  return *all;
}

thread_local int entered = 0;
thread_local std::vector<cudaStream_t> chosen_streams;  // by device; nullptr: its own
CudaHost lent_host;

bool flag(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr && *text == '1';
}

std::unique_ptr<DeviceContext> make_context(int index) {
  auto c = std::make_unique<DeviceContext>();
  c->index = index;
  check(cudaSetDevice(index), "cudaSetDevice");
  check(cudaGetDeviceProperties(&c->properties, index), "cudaGetDeviceProperties");
  check(cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "cudaStreamCreate");
  c->allocator = new CachingAllocator(index);
  c->allocator->set_caching(!flag("AMPGRAD_CUDA_NO_CACHING"));
  c->allocator->set_poison(flag("AMPGRAD_CUDA_POISON"));
  void* fault = nullptr;
  check(cudaHostAlloc(&fault, sizeof(IndexFault), cudaHostAllocDefault), "cudaHostAlloc");
  c->fault = new (fault) IndexFault{};
  return c;
}

}  // namespace

int device_count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

DeviceContext& device_context(int index) {
  Contexts& all = contexts();
  std::call_once(all.once, [&] {
    const int count = device_count();
    int before = 0;
    cudaGetDevice(&before);
    for (int i = 0; i < count; ++i) all.devices.push_back(make_context(i));
    cudaSetDevice(before);
  });
  AG_CHECK(index >= 0 && index < static_cast<int>(all.devices.size()), Device,
           "device 'cuda:", index, "' does not exist");
  return *all.devices[static_cast<size_t>(index)];
}

DeviceContext& current_context() { return device_context(entered); }

void enter_device(int index) {
  int now = 0;
  check(cudaGetDevice(&now), "cudaGetDevice");
  if (now != index) check(cudaSetDevice(index), "cudaSetDevice");
  entered = index;
}

void set_host(const CudaHost& host) { lent_host = host; }
const CudaHost& host() { return lent_host; }

cudaStream_t stream_on(int index) {
  const auto at = static_cast<size_t>(index);
  if (at < chosen_streams.size() && chosen_streams[at] != nullptr) return chosen_streams[at];
  return device_context(index).stream;
}

void set_current_stream(int index, cudaStream_t stream) {
  const auto at = static_cast<size_t>(index);
  if (at >= chosen_streams.size()) chosen_streams.resize(at + 1, nullptr);
  chosen_streams[at] = stream;
}

cudaStream_t current_stream() { return stream_on(entered); }

void release_memory(int device, void* data, size_t bytes) {
  device_context(device).allocator->release(data, bytes);
}

void copy_to_host(void* to, const void* from, size_t bytes) {
  DeviceContext& c = current_context();
  ++c.copies_to_host;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_on(c.index)), "copy");
}

void wait_for(cudaStream_t stream) {
  ++current_context().host_waits;
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

void check(cudaError_t error, const char* what) {
  if (AG_LIKELY(error == cudaSuccess)) return;
  cudaGetLastError();
  AG_FAIL(Cuda, what, ": CUDA error ", static_cast<int>(error), " (", cudaGetErrorName(error),
          "): ", cudaGetErrorString(error));
}

dim3 grid_for(int64_t n, int threads) {
  const cudaDeviceProp& p = current_context().properties;
  const int64_t resident =
      int64_t{p.multiProcessorCount} * std::max(1, p.maxThreadsPerMultiProcessor / threads);
  const int64_t wanted = (n + threads - 1) / threads;
  return dim3(static_cast<unsigned>(std::max<int64_t>(1, std::min(wanted, resident * 4))));
}

void note_kernel([[maybe_unused]] const char* name) {
#if defined(AMPGRAD_SIMT)
  simt::name_next_launch(name);
#endif
}

}  // namespace ampgrad::cuda
