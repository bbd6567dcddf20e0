// What the tests of the emulator share: the stated set of seeds, a launch in one line, and a
// buffer on the device.
#pragma once

#include <cuda_runtime.h>
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "simt/control.h"

namespace simt_test {

inline constexpr int kSeeds = 20;  // every planted bug is caught under each of 0 .. 19
inline constexpr simt::Order kOrders[] = {simt::Order::Random,     simt::Order::Ascending,
                                          simt::Order::Descending, simt::Order::WarpReversed,
                                          simt::Order::WarpAhead,  simt::Order::Drawn};

inline void start(uint64_t seed, simt::Order order = simt::Order::Drawn) {
  simt::config() = simt::Config();
  simt::config().seed = seed;
  simt::config().order = order;
  simt::config().print_reports = false;
  simt::config().close_surroundings = false;
  simt::reset();
}

// Runs `fn` after a fresh start with each of the seeds in each of the orders.
template <class F>
void for_each_schedule(const F& fn) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    for (const simt::Order order : kOrders) {
      start(static_cast<uint64_t>(seed), order);
      CAPTURE(seed);
      CAPTURE(simt::order_name(order));
      fn();
    }
  }
}

inline constexpr int kTries = 12;  // schedules of streams drawn under one seed

// A program that orders its work is right under every seed and schedule. Without the order it is
// caught under every seed: always by the laziest schedule, and by drawn ones within kTries.
template <class F>
void expect_caught(const F& works) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    CAPTURE(seed);
    const auto right = [&](int variant, simt::StreamMode streams, bool ordered) {
      start(static_cast<uint64_t>(seed * kTries + variant));
      simt::config().streams = streams;
      return works(ordered);
    };
    CHECK(right(0, simt::StreamMode::Eager, true));
    CHECK(right(0, simt::StreamMode::Lazy, true));
    CHECK(!right(0, simt::StreamMode::Lazy, false));
    int lucky = 0;
    for (int i = 0; i < kTries; ++i) {
      CHECK(right(i, simt::StreamMode::Random, true));
      lucky += right(i, simt::StreamMode::Random, false) ? 1 : 0;
    }
    CHECK(lucky < kTries);
  }
}

// The end of a report: how to have the same run again.
inline std::string seed_note() {
  return "[seed " + std::to_string(simt::config().seed) + ", order ";
}

template <class... Params, class... Args>
cudaError_t launch(const char* name, void (*kernel)(Params...), dim3 grid, dim3 block,
                   size_t shared, cudaStream_t stream, Args&&... args) {
  cudaLaunchConfig_t config;
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  simt::name_next_launch(name);
  return cudaLaunchKernelEx(&config, kernel, std::forward<Args>(args)...);
}

template <class T>
class Buffer {
 public:
  explicit Buffer(size_t n) : n_(n) {
    void* data = nullptr;
    REQUIRE(cudaMalloc(&data, n * sizeof(T)) == cudaSuccess);
    data_ = static_cast<T*>(data);
  }
  explicit Buffer(const std::vector<T>& values) : Buffer(values.size()) {
    REQUIRE(cudaMemcpy(data_, values.data(), n_ * sizeof(T), cudaMemcpyHostToDevice) ==
            cudaSuccess);
  }
  T* data() const { return data_; }
  std::vector<T> host() const {
    std::vector<T> values(n_);
    cudaMemcpy(values.data(), data_, n_ * sizeof(T), cudaMemcpyDeviceToHost);
    return values;
  }

 private:
  T* data_ = nullptr;
  size_t n_;
};

inline bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace simt_test

#define TEST_SHARED(T, name, count)                 \
  static const simt::SharedSite name##_site(#name); \
  T* name = simt::shared_array<T>(name##_site, count)
