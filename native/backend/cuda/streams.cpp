#include "backend/cuda/streams.h"

#include <array>
#include <map>
#include <mutex>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"

namespace ampgrad::cuda {

namespace {

constexpr int64_t kHighest = 2 * kPooledStreams;

struct Pool {
  std::array<cudaStream_t, 2 * kPooledStreams> streams{};  // low priority first
  int next[2] = {0, 0};
};

struct Event {
  cudaEvent_t event = nullptr;
  int device = 0;
  bool timing = false;
  bool recorded = false;
};

struct State {
  std::mutex mutex;
  std::map<int, Pool> pools;
  std::map<int64_t, Event> events;
  int64_t last_event = 0;
};

State& state() {
  static auto* one = new State();
  return *one;
}

thread_local std::map<int, int64_t> current_numbers;

Event& find_event(State& s, int64_t number) {
  const auto it = s.events.find(number);
  AG_CHECK(it != s.events.end(), Value, "cuda: event ", number, " does not exist");
  return it->second;
}

}  // namespace

int64_t next_stream(int device, bool high) {
  State& s = state();
  device_context(device);
  const std::lock_guard<std::mutex> lock(s.mutex);
  Pool& pool = s.pools[device];
  const int at = pool.next[high ? 1 : 0]++ % kPooledStreams + (high ? kPooledStreams : 0);
  cudaStream_t& stream = pool.streams[static_cast<size_t>(at)];
  if (stream == nullptr) {
    enter_device(device);
    check(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, high ? -1 : 0),
          "cudaStreamCreateWithPriority");
  }
  return at + 1;
}

cudaStream_t stream_of(int device, int64_t number) {
  if (number == 0) return device_context(device).stream;
  State& s = state();
  const std::lock_guard<std::mutex> lock(s.mutex);
  const auto it = s.pools.find(device);
  const bool known = number > 0 && number <= kHighest && it != s.pools.end() &&
                     it->second.streams[static_cast<size_t>(number - 1)] != nullptr;
  AG_CHECK(known, Value, "cuda: stream ", number, " of cuda:", device, " does not exist");
  return it->second.streams[static_cast<size_t>(number - 1)];
}

int64_t current_stream_number(int device) { return current_numbers[device]; }

void set_current_stream_number(int device, int64_t number) {
  set_current_stream(device, stream_of(device, number));
  current_numbers[device] = number;
}

int64_t make_event(int device, bool timing) {
  State& s = state();
  enter_device(device);
  Event e;
  e.device = device;
  e.timing = timing;
  check(cudaEventCreateWithFlags(&e.event, timing ? cudaEventDefault : cudaEventDisableTiming),
        "cudaEventCreate");
  const std::lock_guard<std::mutex> lock(s.mutex);
  s.events[++s.last_event] = e;
  return s.last_event;
}

void destroy_event(int64_t event) noexcept {
  State& s = state();
  const std::lock_guard<std::mutex> lock(s.mutex);
  const auto it = s.events.find(event);
  if (it == s.events.end()) return;
  cudaEventDestroy(it->second.event);
  s.events.erase(it);
}

void record_event(int64_t event, int64_t stream) {
  State& s = state();
  int device = 0;
  {
    const std::lock_guard<std::mutex> lock(s.mutex);
    device = find_event(s, event).device;
  }
  const cudaStream_t on = stream_of(device, stream);
  const std::lock_guard<std::mutex> lock(s.mutex);
  Event& e = find_event(s, event);
  enter_device(device);
  check(cudaEventRecord(e.event, on), "cudaEventRecord");
  e.recorded = true;
}

void wait_event(int device, int64_t stream, int64_t event) {
  State& s = state();
  const cudaStream_t waiting = stream_of(device, stream);
  const std::lock_guard<std::mutex> lock(s.mutex);
  const Event& e = find_event(s, event);
  if (!e.recorded) return;  // as CUDA: nothing to wait for
  enter_device(device);
  check(cudaStreamWaitEvent(waiting, e.event), "cudaStreamWaitEvent");
}

void synchronize_event(int64_t event) {
  State& s = state();
  const std::lock_guard<std::mutex> lock(s.mutex);
  const Event& e = find_event(s, event);
  if (!e.recorded) return;
  ++device_context(e.device).host_waits;
  check(cudaEventSynchronize(e.event), "cudaEventSynchronize");
}

bool event_done(int64_t event) {
  State& s = state();
  const std::lock_guard<std::mutex> lock(s.mutex);
  const Event& e = find_event(s, event);
  if (!e.recorded) return true;
  const cudaError_t error = cudaEventQuery(e.event);
  if (error == cudaErrorNotReady) return false;
  check(error, "cudaEventQuery");
  return true;
}

double elapsed_milliseconds(int64_t from, int64_t to) {
  State& s = state();
  const std::lock_guard<std::mutex> lock(s.mutex);
  const Event& a = find_event(s, from);
  const Event& b = find_event(s, to);
  AG_CHECK(a.timing && b.timing, Value,
           "elapsedTime: both events must be made with enableTiming: true");
  AG_CHECK(a.recorded && b.recorded, Value,
           "elapsedTime: both events must be recorded before the time between them is known");
  AG_CHECK(a.device == b.device, Value, "elapsedTime: the events belong to cuda:", a.device,
           " and cuda:", b.device);
  float milliseconds = 0;
  const cudaError_t error = cudaEventElapsedTime(&milliseconds, a.event, b.event);
  if (error == cudaErrorNotReady) {
    cudaGetLastError();
    AG_FAIL(Value, "elapsedTime: both events must have happened; call synchronize() first");
  }
  check(error, "cudaEventElapsedTime");
  return static_cast<double>(milliseconds);
}

}  // namespace ampgrad::cuda
