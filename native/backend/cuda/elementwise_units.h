// The units that element-wise rows are compiled in, by compute type.
#pragma once

#include "backend/cuda/library.h"

namespace ampgrad::cuda {
void add_float_rows(const CudaHost& host);
void add_double_rows(const CudaHost& host);
void add_int_rows(const CudaHost& host);
}  // namespace ampgrad::cuda
