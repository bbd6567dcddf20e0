// Streams, events, synchronisation and peers of the emulated runtime.
#include "simt/memory.h"
#include "simt/runtime.h"

using simt::note;
using simt::runtime;
using simt::scheduler;

namespace {

constexpr int kFalseNotReady = 3;  // answers per event that delay a caller who polls

template <class Handle>
Handle new_handle() {
  return reinterpret_cast<Handle>(static_cast<uintptr_t>(runtime().next_handle += 16));
}

cudaError_t finish(const simt::Mark& mark) {
  scheduler().finish(mark);
  return note(simt::sticky_error());
}

}  // namespace

cudaError_t cudaDeviceSynchronize() {
  SIMT_ENTER();
  scheduler().finish_device(simt::current_device());
  return note(simt::sticky_error());
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  SIMT_ENTER();
  const int count = simt::config().devices;
  if (device < 0 || device >= count || peer < 0 || peer >= count) {
    return note(cudaErrorInvalidDevice);
  }
  *can = device != peer ? 1 : 0;
  return cudaSuccess;
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
  SIMT_ENTER();
  const int device = simt::current_device();
  if (peer < 0 || peer >= simt::config().devices || peer == device) {
    return note(cudaErrorInvalidDevice);
  }
  if (flags != 0) return note(cudaErrorInvalidValue);
  const bool added = runtime().peers.insert({device, peer}).second;
  return note(added ? cudaSuccess : cudaErrorPeerAccessAlreadyEnabled);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned flags) {
  SIMT_ENTER();
  if (out == nullptr || flags > cudaStreamNonBlocking) return note(cudaErrorInvalidValue);
  *out = new_handle<cudaStream_t>();
  runtime().streams[*out] =
      scheduler().create(simt::current_device(), flags != cudaStreamNonBlocking);
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* out, unsigned flags, int) {
  return cudaStreamCreateWithFlags(out, flags);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  SIMT_ENTER();
  const auto it = runtime().streams.find(stream);
  if (it == runtime().streams.end()) return note(cudaErrorInvalidResourceHandle);
  scheduler().destroy(it->second);
  runtime().streams.erase(it);
  return note(simt::sticky_error());
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  SIMT_ENTER();
  const simt::StreamRef s = runtime().stream(stream);
  if (!s) return note(cudaErrorInvalidResourceHandle);
  return finish(simt::Scheduler::mark(s));
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  SIMT_ENTER();
  const simt::StreamRef s = runtime().stream(stream);
  if (!s) return note(cudaErrorInvalidResourceHandle);
  if (simt::Scheduler::reached(simt::Scheduler::mark(s))) return cudaSuccess;
  if (runtime().random.below(2) == 0) return cudaErrorNotReady;
  return finish(simt::Scheduler::mark(s));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  SIMT_ENTER();
  const simt::StreamRef s = runtime().stream(stream);
  const auto it = runtime().events.find(event);
  if (!s || it == runtime().events.end()) return note(cudaErrorInvalidResourceHandle);
  scheduler().wait(s, it->second.mark);
  return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t fn, void* context) {
  SIMT_ENTER();
  const simt::StreamRef s = runtime().stream(stream);
  if (!s) return note(cudaErrorInvalidResourceHandle);
  scheduler().enqueue(s, [fn, context] {
    simt::device_memory().close();  // host code, like any other
    fn(context);
    simt::device_memory().open();
    return std::string();
  });
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned) {
  SIMT_ENTER();
  if (out == nullptr) return note(cudaErrorInvalidValue);
  *out = new_handle<cudaEvent_t>();
  runtime().events[*out] = simt::Event();
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  SIMT_ENTER();
  return note(runtime().events.erase(event) == 1 ? cudaSuccess : cudaErrorInvalidResourceHandle);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  SIMT_ENTER();
  const simt::StreamRef s = runtime().stream(stream);
  const auto it = runtime().events.find(event);
  if (!s || it == runtime().events.end()) return note(cudaErrorInvalidResourceHandle);
  scheduler().enqueue(s, [event] {
    const auto found = runtime().events.find(event);
    if (found != runtime().events.end()) found->second.time = scheduler().clock();
    return std::string();
  });
  it->second.mark = simt::Scheduler::mark(s);
  it->second.queries = 0;
  return cudaSuccess;
}

// Answers "not ready" a few times although it need not, then does the work.
cudaError_t cudaEventQuery(cudaEvent_t event) {
  SIMT_ENTER();
  const auto it = runtime().events.find(event);
  if (it == runtime().events.end()) return note(cudaErrorInvalidResourceHandle);
  simt::Event& e = it->second;
  if (simt::Scheduler::reached(e.mark)) return cudaSuccess;
  if (e.queries++ < kFalseNotReady && runtime().random.below(3) != 0) return cudaErrorNotReady;
  return finish(e.mark);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  SIMT_ENTER();
  const auto it = runtime().events.find(event);
  if (it == runtime().events.end()) return note(cudaErrorInvalidResourceHandle);
  return finish(it->second.mark);
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  SIMT_ENTER();
  const auto a = runtime().events.find(from);
  const auto b = runtime().events.find(to);
  if (a == runtime().events.end() || b == runtime().events.end()) {
    return note(cudaErrorInvalidResourceHandle);
  }
  const bool recorded = a->second.mark.stream && b->second.mark.stream;
  if (!recorded) return note(cudaErrorInvalidResourceHandle);
  if (!simt::Scheduler::reached(a->second.mark) || !simt::Scheduler::reached(b->second.mark)) {
    return cudaErrorNotReady;
  }
  *milliseconds = static_cast<float>((b->second.time - a->second.time) * 1e-3);
  return cudaSuccess;
}
