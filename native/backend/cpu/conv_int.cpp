// Convolutions of int64, the one integer type PyTorch has them for: plain loops, exact modulo 2^64.
#include "backend/cpu/parallel.h"
#include "backend/cpu/register.h"
#include "ops/conv_params.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

// fn(x offset, y offset, w offset) for every product of one channel pair, offsets within channels.
template <class F>
void for_products(const ConvParams& p, const F& fn) {
  int64_t w = 0;
  for (int64_t kd = 0; kd < p.kernel[0]; ++kd) {
    for (int64_t kh = 0; kh < p.kernel[1]; ++kh) {
      for (int64_t kw = 0; kw < p.kernel[2]; ++kw, ++w) {
        const int64_t tap[3] = {kd, kh, kw};
        int64_t y = 0;
        for (int64_t d = 0; d < p.y_size[0]; ++d) {
          for (int64_t h = 0; h < p.y_size[1]; ++h) {
            for (int64_t c = 0; c < p.y_size[2]; ++c, ++y) {
              const int64_t at[3] = {d, h, c};
              int64_t x = 0;
              bool inside = true;
              for (int i = 0; i < 3; ++i) {
                const int64_t v = at[i] * p.stride[i] - p.padding[i] + tap[i] * p.dilation[i];
                inside = inside && v >= 0 && v < p.x_size[i];
                x = x * p.x_size[i] + v;
              }
              if (inside) fn(x, y, w);
            }
          }
        }
      }
    }
  }
}

int64_t numel(const int64_t (&size)[3]) { return size[0] * size[1] * size[2]; }

// Adds w * (other side) into channel `r` of the result, for all channels of the other side.
template <bool kForward>
void integer_cell(const ConvParams& p, const void*) {
  const int64_t x_numel = numel(p.x_size);
  const int64_t y_numel = numel(p.y_size);
  const int64_t rows = kForward ? p.y_channels : p.x_channels;
  const int64_t columns = kForward ? p.x_channels : p.y_channels;
  parallel_for(p.batch * p.groups * rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t group = i / rows % p.groups;
      const int64_t r = i % rows;
      uint64_t* result =
          static_cast<uint64_t*>(kForward ? p.y : p.x) + i * (kForward ? y_numel : x_numel);
      const uint64_t first =
          p.bias == nullptr ? 0 : static_cast<const uint64_t*>(p.bias)[group * rows + r];
      for (int64_t e = 0; e < (kForward ? y_numel : x_numel); ++e) result[e] = first;
      for (int64_t c = 0; c < columns; ++c) {
        const uint64_t* other = static_cast<const uint64_t*>(kForward ? p.x : p.y) +
                                (i / rows * columns + c) * (kForward ? x_numel : y_numel);
        const int64_t y_channel = group * p.y_channels + (kForward ? r : c);
        const uint64_t* weight = static_cast<const uint64_t*>(p.w) +
                                 (y_channel * p.x_channels + (kForward ? c : r)) * numel(p.kernel);
        for_products(p, [&](int64_t x, int64_t y, int64_t w) {
          result[kForward ? y : x] += weight[w] * other[kForward ? x : y];
        });
      }
    }
  });
}

}  // namespace

void register_conv_int() {
  KernelTable::set<ConvParams>(OpId::convForward, DeviceType::Cpu, DType::Int64,
                               integer_cell<true>);
  KernelTable::set<ConvParams>(OpId::convInputGrad, DeviceType::Cpu, DType::Int64,
                               integer_cell<false>);
}

}  // namespace ampgrad::cpu
