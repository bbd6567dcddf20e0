#include "backend/cuda/fault.h"

#include "core/error.h"

namespace ampgrad::cuda {

void raise_fault(DeviceContext& context) {
  if (AG_LIKELY(context.fault->claimed == 0)) return;
  const IndexFault fault = *context.fault;
  *context.fault = IndexFault{};
  AG_FAIL(Range, fault.op, ": index ", static_cast<int64_t>(fault.value),
          " is out of bounds for dimension ", fault.dim, " with size ",
          static_cast<int64_t>(fault.size), " (found on cuda:", context.index,
          "; the op that is named was queued before this one)");
}

}  // namespace ampgrad::cuda
