#include "backend/cuda/prefix.h"

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/block.cuh"
#include "backend/cuda/scratch.h"

namespace ampgrad::cuda {

namespace {

constexpr int kItems = 8;
constexpr int64_t kTile = int64_t{kBlockThreads} * kItems;

// Each block scans its tile and leaves the tile's sum, if it is asked for.
__global__ void __launch_bounds__(kBlockThreads)
    prefix_tile_kernel(int64_t* data, int64_t n, int64_t* sums) {
  AG_SHARED_ARRAY(int64_t, shared, kBlockWarps);
  const int64_t first = int64_t{blockIdx.x} * kTile + int64_t{threadIdx.x} * kItems;
  int64_t v[kItems];
  int64_t own = 0;
  AG_UNROLL
  for (int i = 0; i < kItems; ++i) {
    v[i] = first + i < n ? data[first + i] : 0;
    own += v[i];
  }
  int64_t total = 0;
  int64_t before = block_exclusive_sum(own, shared, &total);
  AG_UNROLL
  for (int i = 0; i < kItems; ++i) {
    if (first + i < n) data[first + i] = before;
    before += v[i];
  }
  if (sums != nullptr && threadIdx.x == 0) sums[blockIdx.x] = total;
}

__global__ void __launch_bounds__(kBlockThreads)
    prefix_add_kernel(int64_t* data, int64_t n, const int64_t* sums) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    data[i] += sums[i / kTile];
  }
}

}  // namespace

void exclusive_prefix(const char* name, int64_t* data, int64_t n, int64_t* total) {
  const int64_t tiles = n == 0 ? 1 : (n + kTile - 1) / kTile;
  if (tiles == 1) {
    launch(name, {dim3(1), kBlockThreads}, prefix_tile_kernel, data, n, total);
    return;
  }
  const Scratch scratch(static_cast<size_t>(tiles) * sizeof(int64_t));
  auto* sums = scratch.as<int64_t>();
  launch(name, {dim3(static_cast<unsigned>(tiles)), kBlockThreads}, prefix_tile_kernel, data, n,
         sums);
  exclusive_prefix(name, sums, tiles, total);
  launch(name, {grid_for(n, kBlockThreads), kBlockThreads}, prefix_add_kernel, data, n, sums);
}

int64_t read_count(const int64_t* device_value) {
  int64_t value = 0;
  copy_to_host(&value, device_value, sizeof(value));
  wait_for(current_stream());
  return value;
}

}  // namespace ampgrad::cuda
