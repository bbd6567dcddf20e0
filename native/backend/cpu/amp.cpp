// CPU kernels of gradient scaling: all gradients of a dtype in one pass, cut into chunks that the
// pool shares, whatever the sizes of the tensors are.
#include "backend/cpu/amp.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "backend/cpu/finite_loops.h"
#include "backend/cpu/parallel.h"
#include "math/amp.h"
#include "ops/amp_params.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kChunk = 1 << 13;
constexpr int64_t kGrain = 3;  // chunks worth a thread

template <class T>
void unscale_kernel(const UnscaleParams& p, const void*) {
  struct Chunk {
    T* data;
    int64_t n;
  };
  std::vector<Chunk> chunks;
  for (int64_t t = 0; t < p.num_tensors; ++t) {
    T* data = static_cast<T*>(p.tensors[t].data);
    for (int64_t at = 0; at < p.tensors[t].numel; at += kChunk) {
      chunks.push_back({data + at, std::min(kChunk, p.tensors[t].numel - at)});
    }
  }
  const float inv_scale = *p.inv_scale;
  std::atomic<bool> finite{true};
  parallel_for(static_cast<int64_t>(chunks.size()), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Chunk& c = chunks[static_cast<size_t>(i)];
      const bool ok = inv_scale == 1.0f ? all_finite(c.data, c.n, dtype_of<T>)
                                        : scale_finite(c.data, c.n, dtype_of<T>, inv_scale);
      if (!ok) finite.store(false, std::memory_order_relaxed);
    }
  });
  if (!finite.load(std::memory_order_relaxed)) *p.found_inf = 1.0f;
}

void update_kernel(const UpdateScaleParams& p, const void*) {
  math::update_scale(p.scale, p.growth_tracker, *p.found_inf != 0.0f, p.growth_factor,
                     p.backoff_factor, p.growth_interval, p.min_scale);
}

template <class T>
void register_unscale() {
  KernelTable::set<UnscaleParams>(OpId::ampUnscaleStep_, DeviceType::Cpu, dtype_of<T>,
                                  unscale_kernel<T>);
}

}  // namespace

void register_amp() {
  register_unscale<Half>();
  register_unscale<BFloat16>();
  register_unscale<float>();
  register_unscale<double>();
  KernelTable::set<UpdateScaleParams>(OpId::ampUpdateStep_, DeviceType::Cpu, DType::Float32,
                                      update_kernel);
}

}  // namespace ampgrad::cpu
