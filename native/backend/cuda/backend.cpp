// The library's entry point and what the engine sees of it: devices, memory, copies.
#include <cstdio>
#include <string>

#include "backend/cuda/allocator.h"
#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/families.h"
#include "backend/cuda/fault.h"
#include "backend/cuda/library.h"
#include "backend/cuda/pinned.h"
#include "backend/cuda/streams.h"
#include "core/async_backend.h"

namespace ampgrad::cuda {

namespace {

class Backend final : public AsyncBackend {
 public:
  int device_count() override { return cuda::device_count(); }

  DeviceProperties properties(int index) override {
    const DeviceContext& c = device_context(index);
    DeviceProperties p;
    p.name = c.properties.name;
    p.major = c.properties.major;
    p.minor = c.properties.minor;
    p.multiprocessors = c.properties.multiProcessorCount;
    enter_device(index);
    size_t free = 0;
    size_t total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    p.total_memory = total;
    p.free_memory = free;
    return p;
  }

  Allocator& allocator(int index) override { return *device_context(index).allocator; }
  void enter(int index) override { enter_device(index); }

  void copy(void* to, Device to_device, const void* from, Device from_device,
            size_t bytes) override {
    start_copy(to, to_device, from, from_device, bytes, false);
  }

  void copy_queued(void* to, Device to_device, const void* from, Device from_device,
                   size_t bytes) override {
    start_copy(to, to_device, from, from_device, bytes, true);
  }

  void set_memory_fraction(int index, double fraction) override {
    device_context(index).allocator->set_fraction(fraction);
  }

  std::vector<std::pair<const char*, uint64_t>> memory_details(int index) override {
    const DeviceContext& c = device_context(index);
    const AllocatorStats d = c.allocator->details();
    return {{"retries", d.retries},
            {"outOfMemory", d.out_of_memory},
            {"segments", d.segments},
            {"inactiveSplitBytes", d.inactive_split},
            {"copiesToHost", c.copies_to_host},
            {"hostWaits", c.host_waits}};
  }

  void synchronize(int index) override {
    enter_device(index);
    ++current_context().host_waits;
    check(cudaDeviceSynchronize(), "synchronize");
    raise_fault(current_context());
  }

  int64_t next_stream(int index, bool high) override { return cuda::next_stream(index, high); }
  int64_t current_stream(int index) override { return current_stream_number(index); }
  void set_current_stream(int index, int64_t stream) override {
    set_current_stream_number(index, stream);
  }
  bool stream_done(int index, int64_t stream) override {
    const cudaStream_t s = stream_of(index, stream);
    enter_device(index);
    const cudaError_t error = cudaStreamQuery(s);
    if (error == cudaErrorNotReady) return false;
    check(error, "cudaStreamQuery");
    return true;
  }
  void synchronize_stream(int index, int64_t stream) override {
    const cudaStream_t s = stream_of(index, stream);
    enter_device(index);
    wait_for(s);
    raise_fault(device_context(index));
  }
  void record_stream(int index, void* data, int64_t stream) override {
    device_context(index).allocator->record_stream(data, stream_of(index, stream));
  }
  int64_t make_event(int index, bool timing) override { return cuda::make_event(index, timing); }
  void destroy_event(int64_t event) noexcept override { cuda::destroy_event(event); }
  void record_event(int64_t event, int64_t stream) override { cuda::record_event(event, stream); }
  void wait_event(int index, int64_t stream, int64_t event) override {
    cuda::wait_event(index, stream, event);
  }
  void synchronize_event(int64_t event) override { cuda::synchronize_event(event); }
  bool event_done(int64_t event) override { return cuda::event_done(event); }
  double elapsed_milliseconds(int64_t from, int64_t to) override {
    return cuda::elapsed_milliseconds(from, to);
  }

  void* allocate_pinned(int index, size_t bytes) override {
    void* data = cuda::allocate_pinned(index, bytes);
    if (data != nullptr) return data;
    empty_pinned_cache();
    return cuda::allocate_pinned(index, bytes);
  }
  void release_pinned(void* data) noexcept override { cuda::release_pinned(data); }
  bool is_pinned(const void* data) override { return cuda::is_pinned(data); }

 private:
  static void start_copy(void* to, Device to_device, const void* from, Device from_device,
                         size_t bytes, bool queued) {
    const bool from_host = from_device.is_cpu();
    if (!from_host && !to_device.is_cpu()) {
      copy_between(to, to_device.index, from, from_device.index, bytes);
      return;
    }
    enter_device(from_host ? to_device.index : from_device.index);
    const cudaStream_t stream = cuda::current_stream();
    if (from_host) {
      check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream), "copy");
    } else {
      copy_to_host(to, from, bytes);
    }
    const void* on_host = from_host ? from : to;
    if (queued && cuda::is_pinned(on_host)) {
      note_pinned_use(on_host, from_host ? to_device.index : from_device.index, stream);
      return;
    }
    wait_for(stream);
    if (!from_host) raise_fault(current_context());
  }

  // On the source's stream, after what is queued on the target's; the target's stream goes on after
  // it.
  static void copy_between(void* to, int to_index, const void* from, int from_index, size_t bytes) {
    const cudaStream_t source = stream_on(from_index);
    const cudaStream_t target = stream_on(to_index);
    enter_device(to_index);
    await(target, source, from_index);
    check(cudaMemcpyPeerAsync(to, to_index, from, from_index, bytes, source), "copy");
    await(source, target, to_index);
  }

  // What comes next on `later` (of device `index`) waits for what is queued on `earlier`.
  static void await(cudaStream_t earlier, cudaStream_t later, int index) {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
    check(cudaEventRecord(event, earlier), "cudaEventRecord");
    enter_device(index);
    check(cudaStreamWaitEvent(later, event), "cudaStreamWaitEvent");
    check(cudaEventDestroy(event), "cudaEventDestroy");
  }
};

// Why there is no usable device; empty when there is one.
std::string unusable() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  cudaGetLastError();
  if (error == cudaErrorInsufficientDriver) {
    int driver = 0;
    cudaDriverGetVersion(&driver);
    if (driver == 0) return "no NVIDIA driver is installed (libcuda.so.1 was not found)";
    return "the NVIDIA driver is too old: it supports CUDA " + std::to_string(driver / 1000) +
           ", CUDA 13 is needed (driver 580 or newer)";
  }
  if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0)) {
    return "the NVIDIA driver finds no device";
  }
  if (error != cudaSuccess) {
    return std::string("CUDA cannot be used: ") + cudaGetErrorString(error);
  }
  return {};
}

}  // namespace

const char* open_backend(const CudaHost& host, DeviceBackend** backend) {
  static std::string reason;
  reason = unusable();
  if (!reason.empty()) return reason.c_str();
  set_host(host);
  register_families(host);
  static auto* one = new Backend();
  *backend = one;
  return nullptr;
}

}  // namespace ampgrad::cuda

const char* ampgrad_cuda_open(const ampgrad::CudaHost* host, ampgrad::DeviceBackend** backend) {
  if (host->abi != ampgrad::cuda_abi()) {
    return "the CUDA library belongs to another version of ampgrad";
  }
  return ampgrad::cuda::open_backend(*host, backend);
}
