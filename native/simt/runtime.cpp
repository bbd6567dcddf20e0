// Devices, errors and launches of the emulated runtime.
#include "simt/runtime.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "simt/executor.h"
#include "simt/memory.h"

namespace simt {

namespace {

constexpr size_t kKiB = 1024;
constexpr size_t kSharedPerBlock = 48 * kKiB;
constexpr size_t kParameterLimit = 4096;

const Architecture kArchitectures[] = {
    {75, "emulated sm_75", 40, 1024, 64 * kKiB, 64 * kKiB, 4 << 20},
    {80, "emulated sm_80", 108, 2048, 164 * kKiB, 163 * kKiB, 40 << 20},
    {86, "emulated sm_86", 82, 1536, 100 * kKiB, 99 * kKiB, 6 << 20},
    {89, "emulated sm_89", 128, 1536, 100 * kKiB, 99 * kKiB, 72 << 20},
    {90, "emulated sm_90", 132, 2048, 228 * kKiB, 227 * kKiB, 50 << 20},
    {100, "emulated sm_100", 148, 2048, 228 * kKiB, 227 * kKiB, 126 << 20},
    {120, "emulated sm_120", 170, 1536, 100 * kKiB, 99 * kKiB, 96 << 20},
};

thread_local const char* next_name = nullptr;
std::string kept_report;

size_t shared_limit(const void* kernel) {
  const auto& limits = runtime().shared_limits;
  const auto it = limits.find(kernel);
  return it == limits.end() ? kSharedPerBlock
                            : std::max(kSharedPerBlock, static_cast<size_t>(it->second));
}

std::vector<int> peers_of(int device) {
  std::vector<int> peers;
  for (const auto& [from, to] : runtime().peers) {
    if (from == device) peers.push_back(to);
  }
  return peers;
}

bool valid_shape(dim3 grid, dim3 block) {
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  return threads >= 1 && threads <= 1024 && block.z <= 64 && grid.x >= 1 && grid.x <= 0x7fffffffu &&
         grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 && grid.z <= 65535;
}

}  // namespace

const Architecture& architecture() {
  for (const Architecture& a : kArchitectures) {
    if (a.number == config().arch) return a;
  }
  std::fprintf(stderr, "simt: unknown architecture %d, taking 90\n", config().arch);
  config().arch = 90;
  return architecture();
}

Runtime& runtime() {
  static auto* one = new Runtime();
  return *one;
}

std::recursive_mutex& api_mutex() {
  static auto* one = new std::recursive_mutex();
  return *one;
}

int& current_device() {
  static thread_local int device = 0;
  return device;
}

cudaError_t& last_error() {
  static thread_local cudaError_t error = cudaSuccess;
  return error;
}

cudaError_t note(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) last_error() = error;
  return error;
}

cudaError_t sticky_error() {
  const std::string& failure = scheduler().failure();
  if (failure.empty()) return cudaSuccess;
  if (kept_report != failure) {
    kept_report = failure;
    if (config().print_reports) std::fprintf(stderr, "simt: %s\n", failure.c_str());
  }
  const bool address = failure.find("illegal access") != std::string::npos;
  return address ? cudaErrorIllegalAddress : cudaErrorLaunchFailure;
}

cudaError_t Call::usable() const {
  if (config().no_driver) return cudaErrorInsufficientDriver;
  if (config().devices == 0) return cudaErrorNoDevice;
  return sticky_error();
}

StreamRef Runtime::stream(cudaStream_t handle) {
  if (reinterpret_cast<uintptr_t>(handle) <= 1) return scheduler().default_stream(current_device());
  const auto it = streams.find(handle);
  return it == streams.end() ? nullptr : it->second;
}

void reset() {
  const std::lock_guard<std::recursive_mutex> lock(api_mutex());
  scheduler().reset();
  device_memory().reset();
  runtime() = Runtime();
  kept_report.clear();
  last_error() = cudaSuccess;
  current_device() = 0;
}

const std::string& last_report() {
  const std::lock_guard<std::recursive_mutex> lock(api_mutex());
  sticky_error();
  return kept_report;
}

void name_next_launch(const char* name) { next_name = name; }

cudaError_t launch(const cudaLaunchConfig_t& c, const void* kernel, size_t parameter_bytes,
                   std::function<void()> body) {
  const char* name = std::exchange(next_name, nullptr);
  SIMT_ENTER();
  Runtime& r = runtime();
  const StreamRef stream = r.stream(c.stream);
  if (!stream || stream->device != current_device()) return note(cudaErrorInvalidResourceHandle);
  if (!valid_shape(c.gridDim, c.blockDim)) return note(cudaErrorInvalidConfiguration);
  const size_t limit = shared_limit(kernel);
  if (c.dynamicSmemBytes > limit || parameter_bytes > kParameterLimit) {
    return note(cudaErrorInvalidValue);
  }
  if (config().fail_launch > 0 && --config().fail_launch == 0) {
    return note(cudaErrorLaunchOutOfResources);
  }
  LaunchInfo info;
  info.kernel = name == nullptr ? "(unnamed)" : name;
  info.grid = c.gridDim;
  info.block = c.blockDim;
  info.shared_bytes = c.dynamicSmemBytes;
  info.shared_limit = limit;
  info.seed = config().seed * 1000003u + ++r.launches;
  info.body = std::move(body);
  scheduler().enqueue(stream, [info = std::move(info), device = stream->device] {
    install_fault_handler();
    device_memory().narrow_to(device, peers_of(device));
    std::string failure = executor().run(info);
    device_memory().widen();
    if (!failure.empty()) return failure;
    failure = device_memory().check_ends(true);
    return failure.empty() ? failure : "kernel " + info.kernel + ": " + failure;
  });
  return note(sticky_error());
}

cudaError_t set_shared_limit(const void* kernel, int bytes) {
  SIMT_ENTER();
  if (bytes < 0 || static_cast<size_t>(bytes) > architecture().shared_per_block_optin) {
    return note(cudaErrorInvalidValue);
  }
  runtime().shared_limits[kernel] = bytes;
  return cudaSuccess;
}

// By threads and shared memory only: the emulator knows nothing of registers.
cudaError_t occupancy(int* blocks, const void*, int threads, size_t shared_bytes) {
  SIMT_ENTER();
  const Architecture& a = architecture();
  if (threads < 1 || threads > 1024) return note(cudaErrorInvalidValue);
  const int rounded = (threads + 31) / 32 * 32;
  *blocks = std::min(32, a.threads_per_multiprocessor / rounded);
  const size_t shared = shared_bytes + kKiB;  // the system keeps 1 KiB of each block
  *blocks = std::min(*blocks, static_cast<int>(a.shared_per_multiprocessor / shared));
  return cudaSuccess;
}

}  // namespace simt

using simt::note;

cudaError_t cudaGetLastError() {
  const cudaError_t error = std::exchange(simt::last_error(), cudaSuccess);
  const simt::Call call;
  const cudaError_t sticky = simt::sticky_error();
  return sticky != cudaSuccess ? sticky : error;
}

cudaError_t cudaPeekAtLastError() { return simt::last_error(); }

namespace {
struct ErrorText {
  cudaError_t error;
  const char* name;
  const char* text;
};
const ErrorText kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection",
     "invalid copy direction for memcpy"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress",
     "an illegal memory access was encountered"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources",
     "too many resources requested for launch"},
    {cudaErrorPeerAccessAlreadyEnabled, "cudaErrorPeerAccessAlreadyEnabled",
     "peer access is already enabled"},
    {cudaErrorPeerAccessNotEnabled, "cudaErrorPeerAccessNotEnabled",
     "peer access has not been enabled"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
};
const ErrorText* find_error(cudaError_t error) {
  for (const ErrorText& e : kErrors) {
    if (e.error == error) return &e;
  }
  return nullptr;
}
}  // namespace

const char* cudaGetErrorName(cudaError_t error) {
  const ErrorText* found = find_error(error);
  return found == nullptr ? "unrecognized error code" : found->name;
}

// A failure of a kernel is told in full.
const char* cudaGetErrorString(cudaError_t error) {
  const bool failure = error == cudaErrorIllegalAddress || error == cudaErrorLaunchFailure;
  if (failure && !simt::last_report().empty()) return simt::last_report().c_str();
  const ErrorText* found = find_error(error);
  return found == nullptr ? "unrecognized error code" : found->text;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = simt::config().no_driver ? 0 : 13000;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

// Like the real one, leaves the count alone when there is no driver.
cudaError_t cudaGetDeviceCount(int* count) {
  SIMT_ENTER();
  *count = simt::config().devices;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = simt::current_device();
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  SIMT_ENTER();
  if (device < 0 || device >= simt::config().devices) return note(cudaErrorInvalidDevice);
  simt::current_device() = device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  SIMT_ENTER();
  if (device < 0 || device >= simt::config().devices) return note(cudaErrorInvalidDevice);
  const simt::Architecture& a = simt::architecture();
  memset(p, 0, sizeof(*p));
  std::snprintf(p->name, sizeof(p->name), "%s", a.name);
  p->totalGlobalMem = simt::config().memory;
  p->sharedMemPerBlock = simt::kSharedPerBlock;
  p->sharedMemPerBlockOptin = a.shared_per_block_optin;
  p->sharedMemPerMultiprocessor = a.shared_per_multiprocessor;
  p->regsPerBlock = 65536;
  p->warpSize = 32;
  p->maxThreadsPerBlock = 1024;
  p->maxThreadsPerMultiProcessor = a.threads_per_multiprocessor;
  const int threads[3] = {1024, 1024, 64};
  const int grid[3] = {0x7fffffff, 65535, 65535};
  std::copy(threads, threads + 3, p->maxThreadsDim);
  std::copy(grid, grid + 3, p->maxGridSize);
  p->major = a.number / 10;
  p->minor = a.number % 10;
  p->multiProcessorCount = a.multiprocessors;
  p->l2CacheSize = a.l2_bytes;
  p->concurrentKernels = 1;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp p;
  if (const cudaError_t e = cudaGetDeviceProperties(&p, device); e != cudaSuccess) return e;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = p.maxThreadsPerBlock;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = static_cast<int>(p.sharedMemPerBlock);
      break;
    case cudaDevAttrWarpSize:
      *value = p.warpSize;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = p.multiProcessorCount;
      break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = p.maxThreadsPerMultiProcessor;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = p.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = p.minor;
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = static_cast<int>(p.sharedMemPerMultiprocessor);
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(p.sharedMemPerBlockOptin);
      break;
  }
  return cudaSuccess;
}
