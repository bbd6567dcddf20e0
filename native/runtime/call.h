// What the forms of a call have in common: in place (call.cpp) and into given tensors
// (call_out.cpp).
#pragma once

#include <string_view>

#include "core/tensor.h"
#include "ops/op.h"

namespace ampgrad {

// A result that is about to be cast and written into `target`. `suffix` ends the name of the op.
inline void check_castable(const OpDef& op, std::string_view suffix, const Tensor& result,
                           const Tensor& target) {
  AG_CHECK(can_cast(result.dtype(), target.dtype()), DType, op.name, suffix, ": result type ",
           dtype_name(result.dtype()), " can't be cast to the desired output type ",
           dtype_name(target.dtype()));
}

}  // namespace ampgrad
