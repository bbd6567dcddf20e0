#include "amp/trace.h"

namespace ampgrad {

namespace {

void note_input(TracedCall& call, const Tensor& t) {
  if (!t.defined()) return;
  call.inputs.push_back(describe(t));
  call.shapes.push_back(t.sizes());
}

}  // namespace

void AutocastTrace::start() {
  delete current_;
  current_ = new AutocastTrace();
}

std::vector<TracedCall> AutocastTrace::stop() {
  if (current_ == nullptr) return {};
  std::vector<TracedCall> calls = std::move(current_->calls_);
  delete current_;
  current_ = nullptr;
  return calls;
}

void AutocastTrace::begin(const OpDef& op, const Values& args) {
  open_ = TracedCall{};
  open_.op = &op;
  for (const Value& v : args) {
    if (v.is_tensor()) {
      note_input(open_, v.get<Tensor>());
    } else if (v.is<TensorList>()) {
      for (const Tensor& t : v.get<TensorList>()) note_input(open_, t);
    }
  }
}

void AutocastTrace::cast(const Tensor& result, bool cached) {
  if (cached) {
    ++open_.cached;
    return;
  }
  ++open_.casts;
  open_.cast_bytes += static_cast<int64_t>(result.nbytes());
}

void AutocastTrace::end(const Values& results) {
  for (const Value& v : results) {
    if (v.is_tensor() && v.get<Tensor>().defined()) {
      open_.result = describe(v.get<Tensor>());
      break;
    }
  }
  calls_.push_back(std::move(open_));
}

}  // namespace ampgrad
