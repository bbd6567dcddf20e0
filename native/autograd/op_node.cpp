#include "autograd/op_node.h"

#include <cctype>

#include "autograd/anomaly.h"
#include "autograd/grad_mode.h"
#include "autograd/view.h"
#include "ops/shape_ops.h"

namespace ampgrad {

SavedTensor SavedTensor::of_input(const Tensor& t) {
  SavedTensor saved;
  saved.version_ = t.version();
  saved.data_ = t;
  return saved;
}

SavedTensor SavedTensor::of_overwritten(const Tensor& t, const Tensor& copy) {
  SavedTensor saved;
  saved.version_ = copy.version();
  saved.data_ = copy;
  if (!is_leaf(t)) saved.history_ = gradient_edge(t);
  return saved;
}

SavedTensor SavedTensor::of_output(const Tensor& t, uint32_t output_nr, uint32_t version) {
  SavedTensor saved;
  saved.data_ = t.alias();
  saved.version_ = version;
  saved.is_output_ = true;
  saved.output_nr_ = output_nr;
  return saved;
}

void SavedTensor::reset() {
  data_ = Tensor();
  history_ = {};
}

Tensor SavedTensor::unpack(const NodePtr& owner) const {
  if (!data_.defined()) return Tensor();
  AG_CHECK(data_.version() == version_, Autograd,
           "one of the variables needed for gradient computation has been modified by an inplace "
           "operation: ",
           describe(data_), ", which is ", is_output_ ? "an output" : "an input", " of ",
           owner->name(), ", is at version ", static_cast<int64_t>(data_.version()),
           "; expected version ", static_cast<int64_t>(version_), " instead");
  if (is_output_) {
    Tensor t = data_.alias();
    if (owner->outputs.size() > output_nr_) set_history(t, owner, output_nr_);
    return t;
  }
  if (history_.valid()) {
    Tensor t = data_.alias();
    set_history(t, history_.node, history_.output_nr);
    return t;
  }
  return data_;
}

std::string OpNode::name() const {
  std::string text(op_.name);
  if (!text.empty() && text.back() == '_') text.pop_back();
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text + "Backward";
}

void OpNode::release_saved() {
  for (SavedTensor& s : saved_) s.reset();
  for (auto& list : saved_lists_) {
    for (SavedTensor& s : list) s.reset();
  }
  released_ = true;
}

TensorList OpNode::apply(TensorList&& grads) {
  AG_CHECK(!released_ || derivative_.saves.empty(), Autograd, name(),
           ": trying to backward through the graph a second time (or directly access saved tensors "
           "after they have already been freed). Saved intermediate values of the graph are freed "
           "when you call backward() or grad(). Specify retainGraph: true if you need to backward "
           "through the graph a second time");
  TensorList result(edges.size());
  Backward context(*this, std::move(grads), &result);
  derivative_.fn(context);
  return result;
}

const SavedTensor& OpNode::saved(bool is_output, int index) const {
  for (size_t i = 0; i < derivative_.saves.size(); ++i) {
    const Save& s = derivative_.saves[i];
    if (s.is_output == is_output && s.index == index) return saved_[i];
  }
  AG_FAIL(Internal, name(), ": the derivative reads ", is_output ? "output " : "input ", index,
          " but does not save it");
}

bool any_requires_grad(const Values& args) {
  for (const Value& v : args) {
    if (v.is_tensor()) {
      if (requires_grad(v.get<Tensor>())) return true;
    } else if (v.is<TensorList>()) {
      for (const Tensor& t : v.get<TensorList>()) {
        if (t.defined() && requires_grad(t)) return true;
      }
    }
  }
  return false;
}

namespace {

bool wants(const Save& save, uint16_t needed) {
  return save.needed_by == 0 || (save.needed_by & needed) != 0;
}

uint16_t needed_arguments(const Values& args) {
  uint16_t needed = 0;
  for (size_t i = 0; i < args.size(); ++i) {
    const bool single = args[i].is_tensor() && requires_grad(args[i].get<Tensor>());
    if (single) needed = static_cast<uint16_t>(needed | 1u << i);
    if (!args[i].is<TensorList>()) continue;
    for (const Tensor& t : args[i].get<TensorList>()) {
      if (t.defined() && requires_grad(t)) needed = static_cast<uint16_t>(needed | 1u << i);
    }
  }
  return needed;
}

}  // namespace

Tensor copy_if_overwritten(const OpDef& op, const Values& args) {
  const Derivative* derivative = find_derivative(op.id);
  if (derivative == nullptr || !args[0].is_tensor()) return Tensor();
  const uint16_t needed = needed_arguments(args);
  for (const Save& save : derivative->saves) {
    if (save.is_output || save.index != 0 || !wants(save, needed)) continue;
    return contiguous_copy(args[0].get<Tensor>());
  }
  return Tensor();
}

NodePtr record_op(const OpDef& op, const Values& args, const Values& results, bool in_place,
                  const Tensor& overwritten) {
  const Derivative* derivative = find_derivative(op.id);
  AG_ASSERT(derivative != nullptr);
  auto node = make_intrusive<OpNode>(op, *derivative);
  if (AG_UNLIKELY(AnomalyMode::enabled())) AnomalyMode::note_origin(*node);
  node->inputs_.resize(args.size());
  node->args_.resize(args.size());
  uint16_t needed = 0;
  const auto add_edge = [&](size_t arg, const Tensor& t) {
    node->edges.push_back(t.defined() ? gradient_edge(t) : Edge());
    node->metas_.push_back(t.defined() ? TensorMeta(t) : TensorMeta());
    if (node->edges.back().valid()) needed = static_cast<uint16_t>(needed | 1u << arg);
  };
  for (size_t i = 0; i < args.size(); ++i) {
    OpNode::Input& input = node->inputs_[i];
    input.first_edge = static_cast<uint16_t>(node->edges.size());
    if (args[i].is_tensor()) {
      input.count = 1;
      add_edge(i, args[i].get<Tensor>());
    } else if (args[i].is<TensorList>()) {
      const TensorList& list = args[i].get<TensorList>();
      input.is_list = true;
      input.count = static_cast<uint16_t>(list.size());
      for (const Tensor& t : list) add_edge(i, t);
    } else {
      node->args_[i] = args[i];
    }
  }
  node->saved_.resize(derivative->saves.size());
  for (size_t s = 0; s < derivative->saves.size(); ++s) {
    const Save& save = derivative->saves[s];
    if (!wants(save, needed)) continue;
    if (save.is_output) {
      const Tensor& t = results[save.index].get<Tensor>();
      node->saved_[s] = SavedTensor::of_output(t, save.index, t.version() + (in_place ? 1 : 0));
    } else if (args[save.index].is_tensor()) {
      const Tensor& t = args[save.index].get<Tensor>();
      const bool lost = save.index == 0 && overwritten.defined();
      node->saved_[s] =
          lost ? SavedTensor::of_overwritten(t, overwritten) : SavedTensor::of_input(t);
    } else if (args[save.index].is<TensorList>()) {
      node->saved_lists_.resize(args.size());
      for (const Tensor& t : args[save.index].get<TensorList>()) {
        node->saved_lists_[save.index].push_back(t.defined() ? SavedTensor::of_input(t)
                                                             : SavedTensor());
      }
    }
  }
  const auto add_output = [&](const Tensor& t) {
    node->outputs.emplace_back(t);
    if (!in_place && is_floating(t.dtype())) {
      set_history(t, node, static_cast<uint32_t>(node->outputs.size() - 1));
    }
  };
  for (const Value& v : results) {
    if (v.is_tensor()) {
      add_output(v.get<Tensor>());
    } else if (v.is<TensorList>()) {
      for (const Tensor& t : v.get<TensorList>()) add_output(t);
    }
  }
  return node;
}

// --- Backward: the view of a node that a derivative works with.

const Value& Backward::value(int arg) const { return node_.args_[static_cast<size_t>(arg)]; }

const Tensor& Backward::grad(size_t i) {
  Tensor& g = grads_[i];
  if (!g.defined()) {
    const TensorMeta& m = node_.outputs[i];
    g = ops::zeros(Dims(m.sizes), m.dtype, m.device);
  }
  return g;
}

Tensor Backward::input(int arg) { return node_.saved(false, arg).unpack(NodePtr(&node_)); }

Tensor Backward::output(int i) { return node_.saved(true, i).unpack(NodePtr(&node_)); }

Operand Backward::operand(int arg) {
  if (is_tensor(arg)) return Operand(input(arg));
  return Operand(value(arg).get<Scalar>());
}

TensorList Backward::input_list(int arg) {
  TensorList out;
  for (const SavedTensor& s : node_.saved_lists_[static_cast<size_t>(arg)]) {
    out.push_back(s.unpack(NodePtr(&node_)));
  }
  return out;
}

bool Backward::is_tensor(int arg) const {
  const auto& input = node_.inputs_[static_cast<size_t>(arg)];
  return input.count != 0 && !input.is_list;
}

size_t Backward::list_size(int arg) const { return node_.inputs_[static_cast<size_t>(arg)].count; }

const TensorMeta& Backward::meta(int arg) const { return meta(arg, 0); }

const TensorMeta& Backward::meta(int arg, size_t element) const {
  return node_.metas_[node_.inputs_[static_cast<size_t>(arg)].first_edge + element];
}

const TensorMeta& Backward::output_meta(int i) const {
  return node_.outputs[static_cast<size_t>(i)];
}

bool Backward::widens(int arg) {
  if (GradMode::enabled() || !is_low_precision(grad().dtype())) return false;
  const Edge& edge = node_.edges[node_.inputs_[static_cast<size_t>(arg)].first_edge];
  return edge.valid() && edge.node->outputs[edge.output_nr].dtype == DType::Float32;
}

bool Backward::needs(int arg) const {
  const auto& input = node_.inputs_[static_cast<size_t>(arg)];
  for (size_t i = 0; i < input.count; ++i) {
    if (node_.needs_edge(input.first_edge + i)) return true;
  }
  return false;
}

bool Backward::needs(int arg, size_t element) const {
  return node_.needs_edge(node_.inputs_[static_cast<size_t>(arg)].first_edge + element);
}

void Backward::set(int arg, Tensor gradient) { set(arg, 0, std::move(gradient)); }

void Backward::set(int arg, size_t element, Tensor gradient) {
  (*result_)[node_.inputs_[static_cast<size_t>(arg)].first_edge + element] = std::move(gradient);
}

}  // namespace ampgrad
