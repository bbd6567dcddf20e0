// What matrix products on devices may do to be faster, in place of exact float arithmetic. All off
// at the start; read by the products of every thread.
#pragma once

#include <atomic>

namespace ampgrad {

struct MatmulFlags {
  std::atomic<bool> allow_tf32{false};   // round float32 operands to TF32
  std::atomic<bool> reduce_f16{false};   // add parts of a sum of float16 in float16
  std::atomic<bool> reduce_bf16{false};  // and of bfloat16 in bfloat16
};

MatmulFlags& matmul_flags();

}  // namespace ampgrad
