#include "autograd/view.h"

#include "autograd/engine.h"
#include "autograd/grad_mode.h"
#include "ops/ops.h"

namespace ampgrad {

namespace {

// History of a base tensor of which a view was modified: routes the part of the gradient that
// belongs to the view through the in-place operation, leaves the rest as it is.
class CopySlices final : public Node {
 public:
  CopySlices(NodePtr inner, const ViewInfo& view, const Tensor& base)
      : inner_(std::move(inner)), steps_(view.steps) {
    outputs.emplace_back(base);
    edges = inner_->edges;
    edges[0] = gradient_edge(base);
  }

  std::string name() const override { return "CopySlices(" + inner_->name() + ")"; }
  void release_saved() override { inner_->release_saved(); }

  TensorList apply(TensorList&& grads) override {
    if (!grads[0].defined()) return TensorList(edges.size());
    const Tensor whole = ops::clone(grads[0]);
    const ViewInfo view{Tensor(), steps_, 0};
    const Tensor part = view.replay(whole);
    TensorList result = inner_->apply({ops::clone(part)});
    if (edges[0].valid()) {
      const Tensor replacement =
          result[0].defined() ? fit_gradient(result[0], TensorMeta(part), *this) : Tensor();
      Values args{Value(part), replacement.defined() ? Value(replacement) : Value(Scalar(0)),
                  Value(false)};
      call_op_inplace(op_def(OpId::copy_), args);
      result[0] = whole;
    }
    return result;
  }

 private:
  NodePtr inner_;
  std::vector<std::shared_ptr<const ViewStep>> steps_;
};

}  // namespace

void attach_view(const Tensor& view, const OpDef& op, const Values& args) {
  const Tensor& source = args[0].get<Tensor>();
  auto step = std::make_shared<ViewStep>(ViewStep{&op, args});
  step->args[0] = Value();
  auto info = std::make_unique<ViewInfo>();
  const AutogradMeta* source_meta = autograd_meta_or_null(source);
  if (source_meta != nullptr && source_meta->view) {
    info->base = source_meta->view->base;
    info->steps = source_meta->view->steps;
  } else {
    info->base = source;
  }
  info->steps.push_back(std::move(step));
  info->version = view.version();
  autograd_meta(view).view = std::move(info);
}

void check_inplace(const OpDef& op, const Tensor& self) {
  if (!GradMode::enabled()) return;
  const AutogradMeta* meta = autograd_meta_or_null(self);
  if (meta == nullptr) return;
  AG_CHECK(!(meta->requires_grad && !meta->grad_fn), Autograd, op.name,
           ": a leaf Variable that requires grad is being used in an in-place operation; wrap the "
           "update in noGrad()");
  if (meta->view) {
    const AutogradMeta* base = autograd_meta_or_null(meta->view->base);
    AG_CHECK(base == nullptr || !base->requires_grad || base->grad_fn, Autograd, op.name,
             ": a view of a leaf Variable that requires grad is being used in an in-place "
             "operation; wrap the update in noGrad()");
  }
}

void rebase_history(const Tensor& self, const NodePtr& node) {
  AutogradMeta& meta = autograd_meta(self);
  if (!meta.view) {
    set_history(self, node, 0);
    return;
  }
  const Tensor base = meta.view->base;
  set_history(base, NodePtr(make_intrusive<CopySlices>(node, *meta.view, base)), 0);
  // Makes self, and every other view of the base, ask for its history again.
  meta.view->version = self.version() - 1;
  meta.requires_grad = false;
}

}  // namespace ampgrad
