// Views and in-place operations: keeps the histories of a base tensor and its views consistent.
#pragma once

#include "autograd/node.h"

namespace ampgrad {

// Notes on `view` how it was made from args[0].
void attach_view(const Tensor& view, const OpDef& op, const Values& args);

// Raises for tensors that must not be modified in place (leaves that require grad, their views).
void check_inplace(const OpDef& op, const Tensor& self);

// After an in-place op: `node` becomes the history of self; if self is a view, its base's history
// becomes a CopySlices node around it.
void rebase_history(const Tensor& self, const NodePtr& node);

// In-place views (transpose_, squeeze_, ...): `view` of a stand-in, which has the geometry and the
// history that self has now, is what self becomes.
Tensor stand_in(const Tensor& self);
void become_view(const Tensor& self, const Tensor& view);

}  // namespace ampgrad
