// Matrix products on the CPU: C = alpha * A B + beta * C + bias for every dtype, any strides of A
// and B, batched. Results do not depend on the number of threads: k is never split among them and
// every element sums its products in an order that only k decides.
#pragma once

#include "ops/params.h"

namespace ampgrad::cpu {

void gemm(const GemmParams& params);

}  // namespace ampgrad::cpu
