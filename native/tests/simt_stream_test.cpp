// Streams, events, copies and limits of the emulated runtime: programs that order their work give
// the right result under every seed; those that do not are caught, and wrong calls are refused.
#include <algorithm>
#include <set>

#include "simt_support.h"

using simt_test::Buffer;
using simt_test::contains;
using simt_test::expect_caught;
using simt_test::for_each_schedule;
using simt_test::kSeeds;
using simt_test::launch;
using simt_test::start;

namespace {

constexpr int kCount = 64;

void write_value(int* out, int value) { out[threadIdx.x] = value; }
void add_into(int* out, const int* in) { out[threadIdx.x] = in[threadIdx.x] + 1; }
void use_dynamic(int* out) { out[threadIdx.x] = 1; }
void take_turn(int* turns, int* next, int who) { turns[atomicAdd(next, 1)] = who; }
struct Large {
  char bytes[4097];
};
void take_large(int* out, Large) { out[threadIdx.x] = 1; }

struct Streams {
  cudaStream_t a = nullptr;
  cudaStream_t b = nullptr;
  cudaEvent_t event = nullptr;
  explicit Streams(unsigned flags = cudaStreamNonBlocking) {
    cudaStreamCreateWithFlags(&a, flags);
    cudaStreamCreateWithFlags(&b, flags);
    cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  }
};

// A value is written on one stream and used on another.
bool hand_over(bool wait) {
  const Streams s;
  Buffer<int> value(kCount);
  Buffer<int> result(kCount);
  launch("write_value", write_value, 1, kCount, 0, s.a, value.data(), 41);
  cudaEventRecord(s.event, s.a);
  if (wait) cudaStreamWaitEvent(s.b, s.event);
  launch("add_into", add_into, 1, kCount, 0, s.b, result.data(), value.data());
  std::vector<int> got(kCount);
  cudaMemcpyAsync(got.data(), result.data(), kCount * sizeof(int), cudaMemcpyDeviceToHost, s.b);
  cudaStreamSynchronize(s.b);
  return std::all_of(got.begin(), got.end(), [](int v) { return v == 42; });
}

// A pinned buffer is written again before the copy out of it has run.
bool reuse_pinned(bool wait) {
  const Streams s;
  Buffer<int> target(kCount);
  void* memory = nullptr;
  REQUIRE(cudaHostAlloc(&memory, kCount * sizeof(int), cudaHostAllocDefault) == cudaSuccess);
  int* pinned = static_cast<int*>(memory);
  std::fill_n(pinned, kCount, 1);
  cudaMemcpyAsync(target.data(), pinned, kCount * sizeof(int), cudaMemcpyHostToDevice, s.a);
  if (wait) cudaStreamSynchronize(s.a);
  std::fill_n(pinned, kCount, 2);
  cudaStreamSynchronize(s.a);
  const std::vector<int> got = target.host();
  cudaFreeHost(memory);
  return got == std::vector<int>(kCount, 1);
}

// A value is brought to another device, whose kernel uses it.
bool hand_to_peer(bool wait) {
  simt::config().devices = 2;
  cudaStream_t from = nullptr;
  cudaStream_t to = nullptr;
  cudaEvent_t event = nullptr;
  cudaStreamCreateWithFlags(&from, cudaStreamNonBlocking);
  cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  Buffer<int> first(kCount);
  cudaSetDevice(1);
  cudaStreamCreateWithFlags(&to, cudaStreamNonBlocking);
  Buffer<int> second(kCount);
  Buffer<int> result(kCount);
  cudaSetDevice(0);
  launch("write_value", write_value, 1, kCount, 0, from, first.data(), 41);
  cudaMemcpyPeerAsync(second.data(), 1, first.data(), 0, kCount * sizeof(int), from);
  cudaEventRecord(event, from);
  cudaSetDevice(1);
  if (wait) cudaStreamWaitEvent(to, event);
  launch("add_into", add_into, 1, kCount, 0, to, result.data(), second.data());
  std::vector<int> got(kCount);
  cudaMemcpyAsync(got.data(), result.data(), kCount * sizeof(int), cudaMemcpyDeviceToHost, to);
  cudaStreamSynchronize(to);
  return got == std::vector<int>(kCount, 42);
}

// The host reads what a queued copy brings to pinned memory.
bool read_pinned(bool wait) {
  const Streams s;
  Buffer<int> source(std::vector<int>(kCount, 7));
  void* memory = nullptr;
  REQUIRE(cudaHostAlloc(&memory, kCount * sizeof(int), cudaHostAllocDefault) == cudaSuccess);
  const int* pinned = static_cast<int*>(memory);
  cudaMemcpyAsync(memory, source.data(), kCount * sizeof(int), cudaMemcpyDeviceToHost, s.a);
  if (wait) cudaStreamSynchronize(s.a);
  const bool right = std::all_of(pinned, pinned + kCount, [](int v) { return v == 7; });
  cudaFreeHost(memory);
  return right;
}

}  // namespace

TEST_CASE("simt: a missing wait between streams is caught") { expect_caught(hand_over); }
TEST_CASE("simt: a missing wait between devices is caught") { expect_caught(hand_to_peer); }
TEST_CASE("simt: a pinned buffer written too early is caught") { expect_caught(reuse_pinned); }
TEST_CASE("simt: a pinned buffer read too early is caught") { expect_caught(read_pinned); }

TEST_CASE("simt: what runs when is the seed's choice, and the same again for the same seed") {
  std::set<std::vector<int>> drawn;
  for (int seed = 0; seed < kSeeds; ++seed) {
    std::vector<int> runs[2];
    for (std::vector<int>& run : runs) {
      start(static_cast<uint64_t>(seed));
      Streams s[8];
      Buffer<int> next(std::vector<int>{0});
      Buffer<int> turns(8);
      for (int i = 0; i < 8; ++i) {
        launch("take_turn", take_turn, 1, 1, 0, s[i].a, turns.data(), next.data(), i);
      }
      CHECK(cudaDeviceSynchronize() == cudaSuccess);
      run = turns.host();
    }
    CHECK(runs[0] == runs[1]);
    drawn.insert(runs[0]);
  }
  CHECK(drawn.size() > kSeeds / 2);
}

TEST_CASE("simt: a query may be answered late, but is answered") {
  int late = 0;
  for (int seed = 0; seed < kSeeds; ++seed) {
    start(static_cast<uint64_t>(seed));
    const Streams s;
    Buffer<int> value(kCount);
    launch("write_value", write_value, 1, kCount, 0, s.a, value.data(), 1);
    cudaEventRecord(s.event, s.a);
    int tries = 0;
    while (cudaEventQuery(s.event) == cudaErrorNotReady) ++tries;
    CHECK(tries <= 3);
    late += tries > 0 ? 1 : 0;
    CHECK(cudaGetLastError() == cudaSuccess);  // "not ready" is no error
  }
  CHECK(late > 0);
  CHECK(late < kSeeds);
}

TEST_CASE("simt: the default stream waits for blocking streams and they for it") {
  for (int seed = 0; seed < kSeeds; ++seed) {
    start(static_cast<uint64_t>(seed));
    const Streams s(cudaStreamDefault);
    Buffer<int> value(kCount);
    Buffer<int> result(kCount);
    launch("write_value", write_value, 1, kCount, 0, s.a, value.data(), 1);
    launch("add_into", add_into, 1, kCount, 0, nullptr, result.data(), value.data());
    launch("add_into", add_into, 1, kCount, 0, s.b, value.data(), result.data());
    CHECK(cudaStreamSynchronize(s.b) == cudaSuccess);
    CHECK(value.host() == std::vector<int>(kCount, 3));
  }
}

TEST_CASE("simt: the host cannot touch device memory") {
  for (int seed = 0; seed < kSeeds; ++seed) {
    start(static_cast<uint64_t>(seed));
    Buffer<int> value(std::vector<int>(kCount, 5));
    CHECK(simt::catch_host_fault([&] { *static_cast<volatile int*>(value.data()) = 1; }) != "");
    CHECK(simt::catch_host_fault([&] { CHECK(*static_cast<volatile int*>(value.data()) == 5); }) !=
          "");
    CHECK(simt::catch_host_fault([] {}).empty());
    CHECK(value.host() == std::vector<int>(kCount, 5));
  }
}

TEST_CASE("simt: host functions of a stream are host code too") {
  for (int seed = 0; seed < kSeeds; ++seed) {
    start(static_cast<uint64_t>(seed));
    const Streams s;
    Buffer<int> value(kCount);
    launch("write_value", write_value, 1, kCount, 0, s.a, value.data(), 1);
    struct Context {
      int* device;
      std::string caught;
    } context{value.data(), {}};
    const auto host_function = [](void* given) {
      auto* c = static_cast<Context*>(given);
      c->caught = simt::catch_host_fault([c] { *static_cast<volatile int*>(c->device) = 2; });
    };
    cudaLaunchHostFunc(s.a, host_function, &context);
    CHECK(cudaStreamSynchronize(s.a) == cudaSuccess);
    CHECK(!context.caught.empty());
    CHECK(value.host() == std::vector<int>(kCount, 1));
  }
}

TEST_CASE("simt: memory that was freed cannot be used") {
  for_each_schedule([] {
    Buffer<int> value(kCount);
    CHECK(cudaFree(value.data()) == cudaSuccess);
    CHECK(cudaFree(value.data()) == cudaErrorInvalidValue);
    CHECK(cudaMemset(value.data(), 0, 4) == cudaErrorInvalidValue);
    launch("write_value", write_value, 1, kCount, 0, nullptr, value.data(), 1);
    CHECK(cudaDeviceSynchronize() == cudaErrorIllegalAddress);
    CHECK(contains(simt::last_report(), "use after free"));
    CHECK(contains(simt::last_report(), "kernel write_value"));
    CHECK(cudaDeviceSynchronize() == cudaErrorIllegalAddress);  // and stays
  });
}

TEST_CASE("simt: copies are checked when they are queued") {
  start(0);
  Buffer<int> value(kCount);
  int host[kCount] = {};
  const size_t bytes = kCount * sizeof(int);
  CHECK(cudaMemcpy(value.data(), host, bytes + 4, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(host, value.data(), bytes, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(host, host, bytes, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  CHECK(cudaMemset(host, 0, 4) == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("simt: launch limits of the architecture") {
  start(0);
  Buffer<int> out(2048);
  CHECK(launch("k", use_dynamic, 1, 1025, 0, nullptr, out.data()) == cudaErrorInvalidConfiguration);
  CHECK(launch("k", use_dynamic, dim3(1, 65536), 1, 0, nullptr, out.data()) ==
        cudaErrorInvalidConfiguration);
  CHECK(launch("k", use_dynamic, 0, 32, 0, nullptr, out.data()) == cudaErrorInvalidConfiguration);
  CHECK(launch("k", use_dynamic, 1, dim3(1, 1, 65), 0, nullptr, out.data()) ==
        cudaErrorInvalidConfiguration);
  CHECK(launch("k", use_dynamic, 1, 32, 49153, nullptr, out.data()) == cudaErrorInvalidValue);
  CHECK(launch("k", take_large, 1, 32, 0, nullptr, out.data(), Large{}) == cudaErrorInvalidValue);
  CHECK(launch("k", use_dynamic, 1, 32, 0, reinterpret_cast<cudaStream_t>(0x1230), out.data()) ==
        cudaErrorInvalidResourceHandle);
  const struct {
    int arch;
    int optin;
    int multiprocessors;
    int resident;  // blocks of 256 threads on one of them
  } limits[] = {{75, 65536, 40, 4},   {80, 166912, 108, 8}, {86, 101376, 82, 6},
                {89, 101376, 128, 6}, {90, 232448, 132, 8}, {100, 232448, 148, 8},
                {120, 101376, 170, 6}};
  for (const auto& limit : limits) {
    start(0);
    simt::config().arch = limit.arch;
    const auto attribute = cudaFuncAttributeMaxDynamicSharedMemorySize;
    CHECK(cudaFuncSetAttribute(use_dynamic, attribute, limit.optin + 1) == cudaErrorInvalidValue);
    CHECK(cudaFuncSetAttribute(use_dynamic, attribute, limit.optin) == cudaSuccess);
    Buffer<int> again(32);
    CHECK(launch("k", use_dynamic, 1, 32, static_cast<size_t>(limit.optin), nullptr,
                 again.data()) == cudaSuccess);
    CHECK(cudaDeviceSynchronize() == cudaSuccess);
    cudaDeviceProp properties;
    CHECK(cudaGetDeviceProperties(&properties, 0) == cudaSuccess);
    CHECK(properties.major * 10 + properties.minor == limit.arch);
    CHECK(properties.multiProcessorCount == limit.multiprocessors);
    int blocks = 0;
    CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, use_dynamic, 256, 0) ==
          cudaSuccess);
    CHECK(blocks == limit.resident);
  }
}

TEST_CASE("simt: injected faults") {
  start(0);
  simt::config().fail_allocation = 3;
  void* p[4] = {};
  for (int i = 0; i < 4; ++i) {
    CHECK(cudaMalloc(&p[i], 512) == (i == 2 ? cudaErrorMemoryAllocation : cudaSuccess));
  }
  simt::config().fail_launch = 1;
  CHECK(launch("k", use_dynamic, 1, 32, 0, nullptr, static_cast<int*>(p[0])) ==
        cudaErrorLaunchOutOfResources);
  CHECK(launch("k", use_dynamic, 1, 32, 0, nullptr, static_cast<int*>(p[0])) == cudaSuccess);
  start(0);
  simt::config().no_driver = true;
  int count = -7;
  CHECK(cudaGetDeviceCount(&count) == cudaErrorInsufficientDriver);
  CHECK(count == -7);
  CHECK(cudaMalloc(&p[0], 512) == cudaErrorInsufficientDriver);
  start(0);
  simt::config().devices = 0;
  CHECK(cudaGetDeviceCount(&count) == cudaErrorNoDevice);
  start(0);
  simt::config().fail_allocation = 1;
  CHECK(cudaHostAlloc(&p[0], 512, cudaHostAllocDefault) == cudaErrorMemoryAllocation);
  CHECK(cudaHostAlloc(&p[0], 512, cudaHostAllocDefault) == cudaSuccess);
}

TEST_CASE("simt: devices and peers") {
  for_each_schedule([] {
    simt::config().devices = 2;
    Buffer<int> first(std::vector<int>(kCount, 3));
    CHECK(cudaSetDevice(1) == cudaSuccess);
    Buffer<int> second(kCount);
    CHECK(cudaSetDevice(2) == cudaErrorInvalidDevice);
    CHECK(cudaMemcpyPeerAsync(second.data(), 1, first.data(), 0, kCount * sizeof(int)) ==
          cudaSuccess);
    CHECK(second.host() == std::vector<int>(kCount, 3));
    CHECK(cudaDeviceEnablePeerAccess(0, 0) == cudaSuccess);
    launch("add_into", add_into, 1, kCount, 0, nullptr, second.data(), first.data());
    CHECK(second.host() == std::vector<int>(kCount, 4));
    CHECK(cudaSetDevice(0) == cudaSuccess);
    launch("add_into", add_into, 1, kCount, 0, nullptr, first.data(), second.data());
    CHECK(cudaDeviceSynchronize() == cudaErrorIllegalAddress);  // not a peer in this direction
    CHECK(contains(simt::last_report(), "another device"));
  });
}
