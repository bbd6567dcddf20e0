// The units that element-wise rows are compiled in: by compute type, and by part of the table.
#pragma once

#include "backend/cuda/library.h"

namespace ampgrad::cuda {

enum class RowPart { Arithmetic, Powers, Transcendental, Activation };

#define AG_FOR_EACH_ROW_PART(X) X(Arithmetic) X(Powers) X(Transcendental) X(Activation)

#define AG_DECLARE(part)                            \
  void add_float_rows_##part(const CudaHost& host); \
  void add_double_rows_##part(const CudaHost& host);
AG_FOR_EACH_ROW_PART(AG_DECLARE)
#undef AG_DECLARE
void add_int_rows(const CudaHost& host);
void add_short_rows(const CudaHost& host);
void add_byte_rows(const CudaHost& host);

}  // namespace ampgrad::cuda
