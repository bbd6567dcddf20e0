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
    info->geometry = source_meta->view->geometry;
  } else {
    info->base = source;
    if (source_meta != nullptr) info->geometry = source_meta->geometry;
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
  meta.view->check_base();
  const Tensor base = meta.view->base;
  set_history(base, NodePtr(make_intrusive<CopySlices>(node, *meta.view, base)), 0);
  // Makes self, and every other view of the base, ask for its history again.
  meta.view->version = self.version() - 1;
  meta.requires_grad = false;
}

Tensor stand_in(const Tensor& self) {
  const Tensor before = self.alias();
  const AutogradMeta* meta = autograd_meta_or_null(self);
  if (meta == nullptr) return before;
  if (GradMode::enabled()) {
    const NodePtr node = grad_fn(self);
    if (node) set_history(before, node, meta->output_nr);
  }
  if (meta->view) {
    auto view = std::make_unique<ViewInfo>(*meta->view);
    view->version = self.version();
    autograd_meta(before).view = std::move(view);
  }
  return before;
}

void become_view(const Tensor& self, const Tensor& view) {
  TensorImpl* impl = self.impl();
  impl->sizes = view.sizes();
  impl->strides = view.strides();
  impl->offset = view.offset();
  impl->numel = view.numel();
  impl->contiguous = view.is_contiguous();
  self.bump_version();
  AutogradMeta& meta = autograd_meta(self);
  ++meta.geometry;
  if (meta.accumulator != nullptr) meta.accumulator->outputs[0] = TensorMeta(self);
  AutogradMeta* made = autograd_meta_or_null(view);
  if (made == nullptr) return;
  if (made->grad_fn) set_history(self, made->grad_fn, made->output_nr);
  if (meta.view && made->view) {
    meta.view = std::move(made->view);
    meta.view->version = self.version();
  }
}

}  // namespace ampgrad
