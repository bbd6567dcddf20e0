// The node of a recorded op: its attributes, the tensors its derivative asked to keep, and the
// version each of them had.
#pragma once

#include "autograd/derivative.h"

namespace ampgrad {

// A tensor kept for the backward pass. An output is kept without its history (which would be a
// reference cycle through the node) and gets it back when it is unpacked.
class SavedTensor {
 public:
  SavedTensor() = default;
  static SavedTensor of_input(const Tensor& t);
  // An input that the op overwrites: `copy` has its values, and its history is kept apart.
  static SavedTensor of_overwritten(const Tensor& t, const Tensor& copy);
  // `version`: the one the output has once the op is complete.
  static SavedTensor of_output(const Tensor& t, uint32_t output_nr, uint32_t version);

  Tensor unpack(const NodePtr& owner) const;
  bool defined() const { return data_.defined(); }
  void reset();

 private:
  Tensor data_;
  uint32_t version_ = 0;
  bool is_output_ = false;
  uint32_t output_nr_ = 0;
  Edge history_;  // of an input that the op overwrites
};

class OpNode final : public Node, public Pooled<OpNode> {
 public:
  OpNode(const OpDef& op, const Derivative& derivative) : op_(op), derivative_(derivative) {}

  TensorList apply(TensorList&& grads) override;
  std::string name() const override;
  void release_saved() override;

  const OpDef& op() const { return op_; }

 private:
  friend class Backward;
  friend NodePtr record_op(const OpDef&, const Values&, const Values&, bool, const Tensor&);

  struct Input {
    uint16_t first_edge = 0;  // index into `edges` and `metas_`
    uint16_t count = 0;       // 0: the argument holds no tensor
    bool is_list = false;
  };

  const SavedTensor& saved(bool is_output, int index) const;

  const OpDef& op_;
  const Derivative& derivative_;
  Values args_;                         // tensors removed
  InlineVector<Input, 8> inputs_;       // per argument
  InlineVector<TensorMeta, 3> metas_;   // per tensor argument, in edge order
  InlineVector<SavedTensor, 2> saved_;  // in the order of derivative_.saves; lists in saved_lists_
  std::vector<std::vector<SavedTensor>> saved_lists_;
  bool released_ = false;
};

// True if any tensor in `args` requires grad.
bool any_requires_grad(const Values& args);

// Before an op overwrites args[0]: a copy of it if the derivative reads its old values.
Tensor copy_if_overwritten(const OpDef& op, const Values& args);

// Makes the node of an op that was just run and attaches it to the differentiable results.
// in_place: results[0] is args[0], whose version is about to be bumped and whose history the node
// will replace; `overwritten` is what copy_if_overwritten returned.
NodePtr record_op(const OpDef& op, const Values& args, const Values& results, bool in_place,
                  const Tensor& overwritten = Tensor());

}  // namespace ampgrad
