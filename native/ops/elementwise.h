// Building blocks for element-wise ops: promotion, broadcasting, output allocation and the launch
// of one kernel. ops/elementwise.cpp and composites use them; nothing here knows about dtypes'
// arithmetic.
#pragma once

#include "ops/kernels.h"
#include "ops/value.h"

namespace ampgrad {

enum class ElementwiseRule : uint8_t { Same, Float, Bool, Logical };

// The dtype PyTorch's rules give for operands: tensors of one or more dimensions outrank 0-d
// tensors, which outrank numbers, within the highest category present.
DType result_type(Span<Operand> operands);
DType result_type(const Operand& a, const Operand& b);

// The kernel's dtype for a rule and a promoted dtype, after the check against the op's set.
DType compute_dtype(OpId op, ElementwiseRule rule, DType promoted);

// Runs `op` over the broadcast shape of its operands and returns the result (or writes it to the
// target of an in-place call, see OutputSlot).
Tensor launch_elementwise(OpId op, ElementwiseRule rule, Span<Operand> operands,
                          const Attrs& attrs = {});
// The same with the compute dtype and the output dtype fixed by the caller.
Tensor launch_elementwise_as(OpId op, DType compute, DType out_dtype, Span<Operand> operands,
                             const Attrs& attrs = {});
// Writes into `out`, which must have the broadcast shape.
void launch_elementwise_into(OpId op, DType compute, const Tensor& out, Span<Operand> operands,
                             const Attrs& attrs = {});

// During an in-place call the runtime offers the target here; the first element-wise launch takes
// it as its output, so that x.add_(y) writes x directly. An implementation that ends in something
// else leaves it untaken, and the runtime copies the result.
class OutputSlot {
 public:
  explicit OutputSlot(const Tensor& target);
  ~OutputSlot();
  OutputSlot(const OutputSlot&) = delete;
  OutputSlot& operator=(const OutputSlot&) = delete;
  bool taken() const { return taken_; }
  // The slot of the running call, or nullptr.
  static OutputSlot* current();
  // Takes the target if it has this shape.
  const Tensor* take(OpId op, DimsView sizes, DType natural);

 private:
  Tensor target_;
  bool taken_ = false;
  OutputSlot* previous_;
};

}  // namespace ampgrad
