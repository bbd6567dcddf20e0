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

// During a call that writes into a given tensor the runtime offers it here; the first element-wise
// launch takes it as its output, so that x.add_(y) writes x directly. An implementation that ends
// in something else leaves it untaken, and the runtime copies the result.
class OutputSlot {
 public:
  enum class Use : uint8_t {
    InPlace,  // the target is also the first argument: holds what the op starts from
    Out,      // add(x, y, { out }): nothing reads the target before it is written
  };
  explicit OutputSlot(const Tensor& target, Use use = Use::InPlace);
  ~OutputSlot();
  OutputSlot(const OutputSlot&) = delete;
  OutputSlot& operator=(const OutputSlot&) = delete;
  bool taken() const { return taken_; }
  bool in_place() const { return use_ == Use::InPlace; }
  bool dense() const { return target_.defined() && target_.is_contiguous(); }
  // The slot of the running call, or nullptr.
  static OutputSlot* current();
  // Takes the target if it has this shape and device. A target of the use Out must also have this
  // dtype: what takes it may be a step on the way to the result.
  const Tensor* take(DimsView sizes, DType natural, Device device);

 private:
  Tensor target_;
  Use use_;
  bool taken_ = false;
  OutputSlot* previous_;
};

// Memory for a result: the target of the running call where it fits and is dense, otherwise new.
Tensor empty_result(DimsView sizes, DType dtype, Device device);

}  // namespace ampgrad
