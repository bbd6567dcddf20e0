// The shape side of reductions, shared with the ops that reduce as part of something else: which
// dimensions go, what the result looks like, and how a reduced tensor gets its dimensions back.
#pragma once

#include <optional>

#include "ops/params.h"
#include "ops/value.h"

namespace ampgrad {

// The dimensions to reduce, as a mask; none given (or an empty list) means all of them.
uint64_t reduced_dims(const char* op, const Tensor& input, const std::optional<Dims>& dim);

// The input's side of a reduction over `mask`.
ReduceParams reduce_params(const Tensor& input, uint64_t mask);

// Sizes of the result.
Dims reduced_sizes(const Tensor& input, uint64_t mask, bool keepdim);

// Shape with 1 in the place of every reduced dimension.
Dims keepdim_sizes(DimsView input_sizes, uint64_t mask);

}  // namespace ampgrad
