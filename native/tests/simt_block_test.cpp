// Barriers, warp collectives, shared memory and bounds: correct kernels pass under every seed and
// order, and each planted bug is caught under every seed of the set.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <initializer_list>

#include "simt_support.h"

using simt_test::Buffer;
using simt_test::contains;
using simt_test::for_each_schedule;
using simt_test::launch;
using simt_test::seed_note;
using simt_test::start;

namespace {

constexpr unsigned kAll = 0xffffffffu;
constexpr int kThreads = 128;

// Correct ones.

void reverse_in_shared(int* out, const int* in) {
  TEST_SHARED(int, tile, kThreads);
  const int t = static_cast<int>(threadIdx.x);
  tile[t] = in[blockIdx.x * kThreads + threadIdx.x];
  __syncthreads();
  out[blockIdx.x * kThreads + threadIdx.x] = tile[kThreads - 1 - t];
}

__device__ float warp_sum(float x) {
  for (int d = 16; d > 0; d /= 2) x += __shfl_down_sync(kAll, x, static_cast<unsigned>(d));
  return x;
}

void block_sum(float* out, const float* in, int n) {
  TEST_SHARED(float, partial, 32);
  float x = 0;
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x)) x += in[i];
  x = warp_sum(x);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = x;
  __syncthreads();
  if (threadIdx.x < 32) {
    x = threadIdx.x < blockDim.x / 32 ? partial[threadIdx.x] : 0.0f;
    x = warp_sum(x);
    if (threadIdx.x == 0) out[blockIdx.x] = x;
  }
}

void collectives(unsigned* out) {
  const unsigned t = threadIdx.x;
  unsigned* mine = out + t * 8;
  mine[0] = __ballot_sync(kAll, t % 3 == 0);
  mine[1] = __reduce_add_sync(kAll, t);
  mine[2] = static_cast<unsigned>(__reduce_max_sync(kAll, -static_cast<int>(t)));
  mine[3] = __shfl_xor_sync(kAll, t, 1);
  mine[4] = __match_any_sync(kAll, t / 4);
  mine[5] = static_cast<unsigned>(__syncthreads_count(t % 2 == 0));
  mine[6] = static_cast<unsigned>(__any_sync(kAll, t == 5) + 2 * __all_sync(kAll, t < 5));
  mine[7] = t % 32 < 16 ? __shfl_sync(0xffffu, t, 3, 16) : __shfl_up_sync(0xffff0000u, t, 1, 16);
}

// Wrong ones.

void missing_barrier(int* out) {
  TEST_SHARED(int, tile, kThreads);
  const int t = static_cast<int>(threadIdx.x);
  tile[t] = t;
  const int left = tile[(t + kThreads - 1) % kThreads];
  const int right = tile[(t + 1) % kThreads];
  out[t] = left + right;
}

void missing_syncwarp(int* out) {
  TEST_SHARED(int, tile, kThreads);
  const unsigned t = threadIdx.x;
  tile[t] = static_cast<int>(t);
  out[t] = tile[t ^ 1u] + tile[t ^ 2u];
}

void divergent_barrier(int* out) {
  if (threadIdx.x < 40) {
    __syncthreads();
    out[threadIdx.x] = 1;
  } else {
    __syncthreads();
    out[threadIdx.x] = 2;
  }
}

void barriers_of_two_kinds(int* out) {
  out[threadIdx.x] = threadIdx.x % 2 == 0 ? __syncthreads_or(1) : __syncthreads_and(1);
}

void barrier_after_exit(int* out) {
  if (threadIdx.x >= 100) return;
  __syncthreads();
  out[threadIdx.x] = 1;
}

void barrier_in_one_branch(int* out) {
  if (threadIdx.x % 2 == 0) __syncthreads();
  const int sum = static_cast<int>(__reduce_add_sync(kAll, 1u));
  out[threadIdx.x] = sum;
}

void mask_names_absent_lanes(int* out) {
  if (threadIdx.x % 32 < 20) out[threadIdx.x] = __shfl_sync(kAll, static_cast<int>(threadIdx.x), 0);
}

void mask_without_caller(int* out) {
  out[threadIdx.x] = __shfl_sync(0x0000ffffu, static_cast<int>(threadIdx.x), 0);
}

void masks_differ(int* out) {
  const unsigned mask = threadIdx.x % 32 == 7 ? 0x0fffffffu : kAll;
  out[threadIdx.x] = __shfl_sync(mask, static_cast<int>(threadIdx.x), 0);
}

void sites_differ(int* out) {
  if (threadIdx.x % 32 < 16) {
    out[threadIdx.x] = __shfl_sync(kAll, 1, 0);
  } else {
    out[threadIdx.x] = __shfl_sync(kAll, 2, 0);
  }
}

void trusts_active_mask(int* out) {
  out[threadIdx.x] = __shfl_sync(__activemask(), static_cast<int>(threadIdx.x), 0);
}

void shuffle_of_odd_width(int* out) {
  out[threadIdx.x] = __shfl_sync(kAll, static_cast<int>(threadIdx.x), 0, 24);
}

void misaligned_atomic(int* out) {
  atomicAdd(reinterpret_cast<int*>(reinterpret_cast<char*>(out) + 2), 1);
}

void shuffle_from_outside(int* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0xffffu, static_cast<int>(threadIdx.x), 20);
}

void sum_of_unset_shared(float* out) {
  TEST_SHARED(float, partial, 32);
  if (threadIdx.x < 3) partial[threadIdx.x] = 1;
  __syncthreads();
  float sum = 0;
  for (int i = 0; i < 4; ++i) sum += partial[i];
  out[threadIdx.x] = sum;
}

void sum_of_unset_dynamic(float* out) {
  const auto* partial = static_cast<const float*>(simt::executor().shared().dynamic());
  out[threadIdx.x] = partial[threadIdx.x % 4];
}

void fill_dynamic(int* out) {
  auto* bytes = static_cast<char*>(simt::executor().shared().dynamic());
  bytes[threadIdx.x * 4 + 3] = 1;
  out[threadIdx.x] = 1;
}

void past_shared_end(int* out) {
  TEST_SHARED(int, tile, 96);
  tile[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x % 96];
}

void just_past_shared_end(int* out) {
  TEST_SHARED(char, bytes, kThreads - 1);
  bytes[threadIdx.x] = 1;
  out[threadIdx.x] = 1;
}

void before_shared_start(int* out) {
  TEST_SHARED(int, tile, kThreads);
  tile[static_cast<int>(threadIdx.x) - 1] = 1;
  out[threadIdx.x] = 1;
}

void far_past_global_end(int* out) { out[kThreads + static_cast<int>(threadIdx.x) * 64] = 1; }

void before_global_start(int* out) {
  if (threadIdx.x == 5) out[-1] = 1;
}

void one_past_global_end(int* out, int n) {
  if (threadIdx.x == 0) out[n] = 1;
}

void too_much_shared(int* out) {
  TEST_SHARED(double, large, 7000);
  large[threadIdx.x] = 1;
  out[threadIdx.x] = 1;
}

__attribute__((no_sanitize("undefined"))) void divides_by_zero(int* out) {
  volatile int zero = 0;
  out[threadIdx.x] = 7 / zero;
}

void copy_one(float* out, const float* in, int at) { out[0] = in[at]; }

int overflow_stack(int depth) {
  volatile char frame[512] = {};
  frame[depth % 512] = 1;
  return depth == 0 ? 0 : overflow_stack(depth - 1) + frame[0];
}
void deep_recursion(int* out) { out[threadIdx.x] = overflow_stack(1 << 20); }

using IntKernel = void (*)(int*);

std::string report_of(const char* name, IntKernel kernel) {
  Buffer<int> out(kThreads);
  launch(name, kernel, 1, kThreads, 0, nullptr, out.data());
  const cudaError_t error = cudaDeviceSynchronize();
  const std::string report = simt::last_report();
  CHECK((error == cudaSuccess) == report.empty());
  return report;
}

// The kernel is caught under every seed and order, and the report says all of `parts`, the kernel's
// name, its block and how to run it again.
void expect(const char* name, IntKernel kernel, std::initializer_list<const char*> parts) {
  for_each_schedule([&] {
    const std::string report = report_of(name, kernel);
    CAPTURE(report);
    for (const char* part : parts) CHECK(contains(report, part));
    CHECK(contains(report, (std::string("kernel ") + name + ", block (0, 0, 0)").c_str()));
    CHECK(contains(report, seed_note().c_str()));
  });
}

#if defined(__SANITIZE_ADDRESS__)
void copy_one_of_shared(float* out, int at) {
  TEST_SHARED(float, tile, 3);
  for (int i = 0; i < 3; ++i) tile[i] = 1;
  out[0] = tile[at];
}

void copy_one_of_dynamic(float* out, int at) {
  out[0] = static_cast<const float*>(simt::executor().shared().dynamic())[at];
}

// Whether a process of its own comes to the end of `body` when AddressSanitizer watches what stands
// around arrays.
bool comes_to_its_end(const std::function<void()>& body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
    simt::config().close_surroundings = true;
    body();
    _exit(cudaDeviceSynchronize() == cudaSuccess ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
#endif

constexpr const char* kHere = "simt_block_test.cpp:";  // the start of a place in this file

}  // namespace

TEST_CASE("simt: correct kernels give the same under every seed and order") {
  for_each_schedule([] {
    std::vector<int> in(3 * kThreads);
    for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<int>(i);
    Buffer<int> source(in);
    Buffer<int> out(in.size());
    launch("reverse", reverse_in_shared, 3, kThreads, 0, nullptr, out.data(), source.data());
    const std::vector<int> got = out.host();
    REQUIRE(simt::last_report().empty());
    for (size_t i = 0; i < in.size(); ++i) {
      const size_t block = i / kThreads;
      REQUIRE(got[i] == in[block * kThreads + (kThreads - 1 - i % kThreads)]);
    }
    Buffer<float> values(std::vector<float>(1000, 0.5f));
    Buffer<float> sum(2);
    launch("block_sum", block_sum, 2, 256, 0, nullptr, sum.data(), values.data(), 1000);
    CHECK(sum.host() == std::vector<float>{500, 500});
  });
}

TEST_CASE("simt: warp collectives") {
  for_each_schedule([] {
    Buffer<unsigned> out(32 * 8);
    launch("collectives", collectives, 1, 32, 0, nullptr, out.data());
    const std::vector<unsigned> got = out.host();
    REQUIRE(simt::last_report() == "");
    for (unsigned t = 0; t < 32; ++t) {
      const unsigned* mine = got.data() + size_t{t} * 8;
      CHECK(mine[0] == 0x49249249u);
      CHECK(mine[1] == 496);
      CHECK(static_cast<int>(mine[2]) == 0);
      CHECK(mine[3] == (t ^ 1u));
      CHECK(mine[4] == 0xfu << (t / 4 * 4));
      CHECK(mine[5] == 16);
      CHECK(mine[6] == 1);
      CHECK(mine[7] == (t < 16 ? 3 : (t == 16 ? 16 : t - 1)));
    }
  });
}

TEST_CASE("simt: planted bugs of barriers and collectives are caught") {
  expect("divergent_barrier", divergent_barrier, {"divergent barrier", ", thread (", kHere});
  expect("barriers_of_two_kinds", barriers_of_two_kinds,
         {"divergent barrier", ", thread (", kHere});
  expect("barrier_after_exit", barrier_after_exit, {"threads have exited", kHere});
  expect("barrier_in_one_branch", barrier_in_one_branch, {"deadlock", "thread ", kHere});
  expect("mask_names_absent_lanes", mask_names_absent_lanes, {"deadlock", "has exited", kHere});
  expect("mask_without_caller", mask_without_caller, {"does not name it", ", thread (", kHere});
  expect("masks_differ", masks_differ, {"deadlock", "gives the mask", kHere});
  expect("sites_differ", sites_differ, {"deadlock", "waits at", kHere});
  expect("trusts_active_mask", trusts_active_mask, {"deadlock", "gives the mask", kHere});
  expect("shuffle_from_outside", shuffle_from_outside, {"bad shuffle", ", thread (", kHere});
  expect("shuffle_of_odd_width", shuffle_of_odd_width, {"bad shuffle", "width 24", kHere});
  expect("misaligned_atomic", misaligned_atomic, {"misaligned address", ", thread ("});
}

TEST_CASE("simt: planted bugs of memory are caught") {
  expect("past_shared_end", past_shared_end, {"shared array 'tile'", ", thread ("});
  expect("just_past_shared_end", just_past_shared_end, {"behind the end of shared array 'bytes'"});
  expect("before_shared_start", before_shared_start, {"before the start of shared array 'tile'"});
  expect("too_much_shared", too_much_shared, {"shared memory: 'large'", ", thread ("});
  expect("deep_recursion", deep_recursion, {"stack overflow", ", thread ("});
  expect("divides_by_zero", divides_by_zero, {"division by zero", ", thread ("});
  // The allocations have kThreads ints.
  expect("far_past_global_end", far_past_global_end,
         {"illegal access", "out of bounds", "of a device allocation of 512 bytes", ", thread ("});
  expect("before_global_start", before_global_start,
         {"out of bounds: byte -4 of a device allocation of 512 bytes was written"});
  for_each_schedule([] {
    Buffer<int> odd(100);
    launch("one_past_global_end", one_past_global_end, 1, 32, 0, nullptr, odd.data(), 100);
    CHECK(cudaDeviceSynchronize() != cudaSuccess);
    const std::string report = simt::last_report();
    CHECK(contains(report, "byte 400 of a device allocation of 400 bytes was written"));
    CHECK(contains(report, "kernel one_past_global_end, block (0, 0, 0)"));
    CHECK(contains(report, seed_note().c_str()));
  });
}

TEST_CASE("simt: the dynamic shared memory has exactly the bytes of the launch") {
  for_each_schedule([] {
    for (const bool right : {true, false}) {
      start(simt::config().seed, simt::config().order);
      Buffer<int> out(kThreads);
      const size_t bytes = kThreads * sizeof(int) - (right ? 0 : 1);
      launch("fill_dynamic", fill_dynamic, 1, kThreads, bytes, nullptr, out.data());
      CHECK((cudaDeviceSynchronize() == cudaSuccess) == right);
      CHECK(simt::last_report().empty() == right);
      if (!right) CHECK(contains(simt::last_report(), "the dynamic shared memory"));
    }
  });
}

TEST_CASE("simt: missing barriers and memory that nobody wrote show in the result") {
  for_each_schedule([] {
    Buffer<int> out(kThreads);
    launch("missing_barrier", missing_barrier, 1, kThreads, 0, nullptr, out.data());
    std::vector<int> right(kThreads);
    for (int t = 0; t < kThreads; ++t) {
      right[static_cast<size_t>(t)] = (t + kThreads - 1) % kThreads + (t + 1) % kThreads;
    }
    CHECK(out.host() != right);
    launch("missing_syncwarp", missing_syncwarp, 1, kThreads, 0, nullptr, out.data());
    std::vector<int> passed_on(kThreads);
    for (int t = 0; t < kThreads; ++t) passed_on[static_cast<size_t>(t)] = (t ^ 1) + (t ^ 2);
    CHECK(out.host() != passed_on);
    Buffer<float> sums(kThreads);
    launch("unset", sum_of_unset_shared, 1, kThreads, 0, nullptr, sums.data());
    CHECK(std::isnan(sums.host()[0]));
    launch("unset_dynamic", sum_of_unset_dynamic, 1, kThreads, 64, nullptr, sums.data());
    CHECK(std::isnan(sums.host()[0]));
    Buffer<float> never(4);
    launch("copy_one", copy_one, 1, 1, 0, nullptr, sums.data(), never.data(), 0);
    CHECK(std::isnan(sums.host()[0]));
    // Behind the end, where no page begins yet, stands a number that no tolerance hides.
    Buffer<float> zeros(std::vector<float>(4, 0.0f));
    launch("copy_one", copy_one, 1, 1, 0, nullptr, sums.data(), zeros.data(), 4);
    CHECK(std::abs(sums.host()[0]) > 1e30f);
    CHECK(simt::last_report().empty());
  });
}

// In other builds such reads show in results only, and the bytes are looked at for writes. No seed
// moves what is closed.
#if defined(__SANITIZE_ADDRESS__)
TEST_CASE("simt: AddressSanitizer sees reads around arrays") {
  for (const int at : {-1, 0, 2, 3}) {
    CAPTURE(at);
    const bool inside = at == 0 || at == 2;
    start(0);
    CHECK(inside == comes_to_its_end([at] {
            Buffer<float> out(1);
            Buffer<float> in(std::vector<float>(3, 1.0f));
            launch("copy_one", copy_one, 1, 1, 0, nullptr, out.data(), in.data(), at);
          }));
    CHECK(inside == comes_to_its_end([at] {
            Buffer<float> out(1);
            launch("copy_one_of_shared", copy_one_of_shared, 1, 1, 0, nullptr, out.data(), at);
          }));
    CHECK(inside == comes_to_its_end([at] {
            Buffer<float> out(1);
            launch("copy_one_of_dynamic", copy_one_of_dynamic, 1, 1, 12, nullptr, out.data(), at);
          }));
    CHECK(inside == comes_to_its_end([at] {
            void* pinned = nullptr;
            cudaHostAlloc(&pinned, 3, cudaHostAllocDefault);
            static_cast<volatile char*>(pinned)[at] = 1;
          }));
  }
}
#endif
