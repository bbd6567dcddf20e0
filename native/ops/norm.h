// What the normalisation ops share: checks of their parameters and the results of backward ops that
// compute only what was asked for.
#pragma once

#include "ops/value.h"

namespace ampgrad {

// The dtype the parameters of a normalisation are read in: that of the input, or the type its
// arithmetic is done in as soon as one of them has it. Raises for any other dtype.
DType norm_param_dtype(const char* op, const Tensor& input,
                       std::initializer_list<const Tensor*> params);

// An undefined parameter stays undefined; others become contiguous and of this dtype.
Tensor norm_param(const Tensor& param, DType dtype);

// The i-th entry of an output mask.
bool mask_at(const char* op, DimsView mask, size_t i, size_t count);

// The place of a result that was not asked for.
Tensor no_result(const Tensor& like);

}  // namespace ampgrad
