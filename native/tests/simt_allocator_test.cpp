// The caching allocator of backend/cuda on emulated devices: block policy, streams, the way it
// goes when a device is full.
#include "backend/cuda/allocator.h"

#include "simt_support.h"

using ampgrad::cuda::CachingAllocator;
using simt_test::contains;
using simt_test::expect_caught;
using simt_test::for_each_schedule;
using simt_test::launch;
using simt_test::seed_note;
using simt_test::start;

namespace {

constexpr size_t kMiB = size_t{1} << 20;
constexpr int kThreads = 128;

cudaStream_t new_stream() {
  cudaStream_t s = nullptr;
  REQUIRE(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking) == cudaSuccess);
  return s;
}

void write_value(int* out, int value) { out[threadIdx.x] = value; }
void write_byte(char* out, int at) { out[at] = 1; }
void copy_value(int* out, const int* in) { out[threadIdx.x] = in[threadIdx.x]; }

// A block is used on a second stream, freed, and taken again on the first, which overwrites it.
bool free_while_in_use(bool recorded) {
  CachingAllocator a(0);
  const cudaStream_t first = new_stream();
  const cudaStream_t second = new_stream();
  auto* block = static_cast<int*>(a.allocate_on(kThreads * sizeof(int), first));
  auto* result = static_cast<int*>(a.allocate_on(kThreads * sizeof(int), second));
  launch("write_value", write_value, 1, kThreads, 0, first, block, 1);
  cudaEvent_t event = nullptr;
  cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  cudaEventRecord(event, first);
  cudaStreamWaitEvent(second, event);
  launch("copy_value", copy_value, 1, kThreads, 0, second, result, block);
  if (recorded) a.record_stream(block, second);
  a.release(block, kThreads * sizeof(int));
  auto* again = static_cast<int*>(a.allocate_on(kThreads * sizeof(int), first));
  launch("write_value", write_value, 1, kThreads, 0, first, again, 2);
  CHECK(cudaDeviceSynchronize() == cudaSuccess);
  int value = 0;
  cudaMemcpy(&value, result, sizeof(int), cudaMemcpyDeviceToHost);
  return value == 1;
}

}  // namespace

TEST_CASE("allocator: sizes of blocks and segments") {
  CHECK(CachingAllocator::round_size(1) == 512);
  CHECK(CachingAllocator::round_size(512) == 512);
  CHECK(CachingAllocator::round_size(513) == 1024);
  CHECK(CachingAllocator::segment_size(512) == 2 * kMiB);
  CHECK(CachingAllocator::segment_size(kMiB) == 2 * kMiB);
  CHECK(CachingAllocator::segment_size(kMiB + 512) == 20 * kMiB);
  CHECK(CachingAllocator::segment_size(10 * kMiB) == 10 * kMiB);
  CHECK(CachingAllocator::segment_size(11 * kMiB) == 12 * kMiB);
}

TEST_CASE("allocator: blocks are cut, kept by stream and joined again") {
  start(0);
  CachingAllocator a(0);
  const cudaStream_t s = new_stream();
  const cudaStream_t t = new_stream();
  void* x = a.allocate_on(1000, s);
  void* y = a.allocate_on(3000, s);
  CHECK(static_cast<char*>(y) == static_cast<char*>(x) + 1024);
  CHECK(a.stats().reserved == 2 * kMiB);
  CHECK(a.stats().allocated == 1024 + 3072);
  CHECK(a.details().inactive_split == 2 * kMiB - 4096);
  a.release(x, 1000);
  CHECK(a.allocate_on(700, t) != x);  // another stream's
  CHECK(a.stats().reserved == 4 * kMiB);
  CHECK(a.allocate_on(700, s) == x);
  a.release(x, 700);
  a.release(y, 3000);
  CHECK(a.allocate_on(kMiB, s) == x);  // joined
  a.empty_cache();
  CHECK(a.stats().reserved == 4 * kMiB);  // both segments are in use
  a.release(x, kMiB);
  a.empty_cache();
  CHECK(a.stats().reserved == 2 * kMiB);
  CHECK(a.stats().peak_reserved == 4 * kMiB);
}

TEST_CASE("allocator: a full device gives its caches back before it fails") {
  start(0);
  simt::config().memory = 256 * kMiB;
  CachingAllocator a(0);
  const cudaStream_t s = new_stream();
  void* x = a.allocate_on(100 * kMiB, s);
  void* y = a.allocate_on(100 * kMiB, s);
  CHECK(a.allocate_on(100 * kMiB, s) == nullptr);
  CHECK(a.details().out_of_memory == 1);
  a.release(x, 100 * kMiB);
  a.release(y, 100 * kMiB);
  CHECK(a.stats().reserved == 200 * kMiB);
  void* big = a.allocate_on(240 * kMiB, s);
  CHECK(big != nullptr);
  CHECK(a.details().retries == 2);
  a.release(big, 240 * kMiB);
  a.empty_cache();
  CHECK(a.stats().reserved == 0);
  a.set_fraction(0.25);
  CHECK(a.allocate_on(100 * kMiB, s) == nullptr);
  CHECK(a.allocate_on(60 * kMiB, s) != nullptr);
  CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("allocator: the n-th allocation of the device fails and is tried again") {
  start(0);
  CachingAllocator a(0);
  const cudaStream_t s = new_stream();
  simt::config().fail_allocation = 1;
  CHECK(a.allocate_on(1000, s) != nullptr);
  CHECK(a.details().retries == 1);
  CHECK(a.details().out_of_memory == 0);
}

TEST_CASE("allocator: a block that another stream uses waits for it") {
  expect_caught(free_while_in_use);
}

TEST_CASE("allocator: poison shows who uses a freed block") {
  expect_caught([](bool keeps) {
    CachingAllocator a(0);
    a.set_poison(true);
    const cudaStream_t s = new_stream();
    auto* x = static_cast<int*>(a.allocate_on(512, s));
    launch("write_value", write_value, 1, kThreads, 0, s, x, 1);
    if (!keeps) a.release(x, 512);
    int value = 0;
    cudaMemcpyAsync(&value, x, sizeof(int), cudaMemcpyDeviceToHost, s);
    CHECK(value == (keeps ? 1 : -1));
    return value == 1;
  });
}

TEST_CASE("allocator: without a cache the use of a freed block is an illegal access") {
  for_each_schedule([] {
    CachingAllocator a(0);
    a.set_caching(false);
    const cudaStream_t s = new_stream();
    auto* x = static_cast<int*>(a.allocate_on(512, s));
    a.release(x, 512);
    launch("write_value", write_value, 1, kThreads, 0, s, x, 1);
    CHECK(cudaStreamSynchronize(s) == cudaErrorIllegalAddress);
    CHECK(contains(simt::last_report(), "use after free"));
    CHECK(contains(simt::last_report(), "kernel write_value, block (0, 0, 0), thread ("));
    CHECK(contains(simt::last_report(), seed_note().c_str()));
  });
}

TEST_CASE("allocator: without a cache a block ends where it was asked to end") {
  for_each_schedule([] {
    CachingAllocator a(0);
    a.set_caching(false);
    const cudaStream_t s = new_stream();
    auto* x = static_cast<char*>(a.allocate_on(100, s));
    CHECK(a.stats().allocated == 100);
    launch("write_byte", write_byte, 1, 1, 0, s, x, 99);
    CHECK(cudaStreamSynchronize(s) == cudaSuccess);
    launch("write_byte", write_byte, 1, 1, 0, s, x, 100);
    CHECK(cudaStreamSynchronize(s) == cudaErrorLaunchFailure);
    CHECK(
        contains(simt::last_report(), "byte 100 of a device allocation of 100 bytes was written"));
    CHECK(contains(simt::last_report(), "kernel write_byte"));
    CHECK(contains(simt::last_report(), seed_note().c_str()));
  });
}
