// What this machine can do at most, for the roofline columns of the benchmark:
//   ampgrad_peak THREADS [BYTES ...]
// prints one JSON line: the rate of multiply-adds that never leave the registers, by type, and for
// each number of bytes the best rate of three plain loops that move so many: reading, memcpy, and
// adding two arrays into a third. Built for the processor it is built on.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr size_t kVectorBytes = 64;
constexpr int kChains = 16;
#elif defined(__AVX__)
constexpr size_t kVectorBytes = 32;
constexpr int kChains = 12;
#else
constexpr size_t kVectorBytes = 16;
constexpr int kChains = 12;
#endif
constexpr int kLanes = kVectorBytes / sizeof(float);
using Vector __attribute__((vector_size(kVectorBytes))) = float;

constexpr int kSteps = 1 << 16;
constexpr double kSampleSeconds = 0.01;
constexpr int kSamples = 20;

volatile float sink;

float total(const Vector& v) {
  float sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += v[i];
  return sum;
}

// Independent chains hide the latency of the multiply-add.
void multiply_adds() {
  Vector acc[kChains];
  for (int j = 0; j < kChains; ++j) acc[j] = Vector{} + static_cast<float>(j);
  const Vector a = Vector{} + 0.999F;
  const Vector b = Vector{} + 0.001F;
  for (int i = 0; i < kSteps; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < kChains; ++j) acc[j] = acc[j] * a + b;
  }
  Vector sum = acc[0];
  for (int j = 1; j < kChains; ++j) sum += acc[j];
  sink = total(sum);
}
constexpr double kFlops = 2.0 * kLanes * kChains * kSteps;

#ifdef __AVX512BF16__
void bfloat_products() {
  __m512 acc[kChains];
  for (int j = 0; j < kChains; ++j) acc[j] = _mm512_set1_ps(static_cast<float>(j));
  const __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5F), _mm512_set1_ps(0.5F));
  for (int i = 0; i < kSteps; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < kChains; ++j) acc[j] = _mm512_dpbf16_ps(acc[j], a, a);
  }
  Vector sum = acc[0];
  for (int j = 1; j < kChains; ++j) sum += acc[j];
  sink = total(sum);
}
#endif

// A thread's share of the three arrays.
struct Share {
  Vector* a;
  Vector* b;
  Vector* c;
};

void read_all(const Share& s, size_t n) {
  Vector acc[8] = {};
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
#pragma GCC unroll 8
    for (size_t j = 0; j < 8; ++j) acc[j] += s.a[i + j];
  }
  for (; i < n; ++i) acc[0] += s.a[i];
  for (int j = 1; j < 8; ++j) acc[0] += acc[j];
  sink = total(acc[0]);
}

void copy_all(const Share& s, size_t n) { std::memcpy(s.c, s.a, n * kVectorBytes); }

void add_all(const Share& s, size_t n) {
  for (size_t i = 0; i < n; ++i) s.c[i] = s.a[i] + s.b[i];
}

// Seconds of one round of `fn(thread)` on every thread, the fastest of several samples.
double fastest(int threads, const std::function<void(int)>& fn) {
  using Clock = std::chrono::steady_clock;
  const auto sample = [&](int rounds) {
    const auto start = Clock::now();
    std::vector<std::thread> pool;
    for (int t = 0; t < threads; ++t) {
      pool.emplace_back([&fn, t, rounds] {
        for (int i = 0; i < rounds; ++i) fn(t);
      });
    }
    for (std::thread& t : pool) t.join();
    return std::chrono::duration<double>(Clock::now() - start).count() / rounds;
  };
  // Starting the threads must not count.
  int rounds = 1;
  double best = sample(rounds);
  for (; best * rounds < kSampleSeconds; best = std::min(best, sample(rounds))) rounds *= 2;
  for (int i = 0; i < kSamples; ++i) best = std::min(best, sample(rounds));
  return best;
}

double bandwidth(int threads, double bytes) {
  const auto n = static_cast<size_t>(bytes / threads / kVectorBytes);  // vectors a thread moves
  std::vector<std::unique_ptr<Vector[]>> memory;
  std::vector<Share> shares;
  for (int t = 0; t < threads; ++t) {
    memory.emplace_back(new Vector[3 * n + 3]());
    Vector* a = memory.back().get();
    shares.push_back({a, a + n + 1, a + 2 * n + 2});
  }
  const auto rate = [&](void (*loop)(const Share&, size_t), size_t vectors) {
    return bytes / fastest(threads, [&](int t) { loop(shares[t], vectors); });
  };
  return std::max({rate(read_all, n), rate(copy_all, n / 2), rate(add_all, n / 3)}) / 1e9;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 0;
  if (threads < 1) {
    std::fprintf(stderr, "usage: %s THREADS [BYTES ...]\n", argv[0]);
    return 1;
  }
  const auto rate = [&](void (*loop)(), double flops) {
    return threads * flops / fastest(threads, [&](int) { loop(); }) / 1e9;
  };
  std::printf(R"({"peer":"machine","threads":%d,"gflops":{"f32":%.1f)", threads,
              rate(multiply_adds, kFlops));
#ifdef __AVX512BF16__
  std::printf(R"(,"bf16":%.1f)", rate(bfloat_products, 2 * kFlops));
#endif
  std::printf("},\"bandwidth\":[");
  for (int i = 2; i < argc; ++i) {
    const double bytes = std::atof(argv[i]);
    std::printf("%s[%.0f,%.1f]", i > 2 ? "," : "", bytes, bandwidth(threads, bytes));
  }
  std::printf("]}\n");
  return 0;
}
