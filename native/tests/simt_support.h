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

inline void start(uint64_t seed, simt::Order order = simt::Order::Drawn) {
  simt::config() = simt::Config();
  simt::config().seed = seed;
  simt::config().order = order;
  simt::config().print_reports = false;
  simt::reset();
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
