// What the matrix products of the backend share: the product of cuBLASLt for other kernels, the ops
// that are products, and batches as runs of equal steps.
#pragma once

#include "ops/op.h"
#include "ops/params.h"

namespace ampgrad::cuda {

inline constexpr OpId kProductOps[] = {OpId::mm,    OpId::bmm,  OpId::linear,
                                       OpId::mv,    OpId::dot,  OpId::addmm,
                                       OpId::addmv, OpId::addr, OpId::baddbmm};

// On the current stream; float16, bfloat16, float32 or float64.
void multiply(const GemmParams& params);

// Raises ERR_SHAPE for sizes that 32 bits do not hold.
void check_product_sizes(const GemmParams& params);

// Neighbouring batches whose operands are equal steps apart, none of them negative: the elements
// from the operands to the first batch, and from one to the next.
struct BatchRun {
  int64_t count = 1;
  int64_t a = 0, b = 0, c = 0;
  int64_t a_step = 0, b_step = 0, c_step = 0;
};

// fn(run) for all batches, in order, in as long runs as their offsets allow.
template <class F>
void for_even_runs(const GemmParams& p, const F& fn) {
  if (p.batch == 1) return fn(BatchRun());
  for (int64_t first = 0; first < p.batch;) {
    BatchRun run{1, p.a_offsets[first], p.b_offsets[first], p.c_offsets[first], 0, 0, 0};
    const auto step = [&](const int64_t* offsets, int64_t i) {
      return offsets[i] - offsets[i - 1];
    };
    int64_t next = first + 1;
    if (next < p.batch && step(p.a_offsets, next) >= 0 && step(p.b_offsets, next) >= 0 &&
        step(p.c_offsets, next) >= 0) {
      run.a_step = step(p.a_offsets, next);
      run.b_step = step(p.b_offsets, next);
      run.c_step = step(p.c_offsets, next);
      while (next < p.batch && step(p.a_offsets, next) == run.a_step &&
             step(p.b_offsets, next) == run.b_step && step(p.c_offsets, next) == run.c_step) {
        ++next;
      }
    }
    run.count = next - first;
    fn(run);
    first = next;
  }
}

}  // namespace ampgrad::cuda
