#include "autograd/derivative.h"

#include <array>

namespace ampgrad {

namespace {

using Table = std::array<const Derivative*, kNumOps>;

const Table& table() {
  static const Table* built = [] {
    auto* t = new Table();
    t->fill(nullptr);
    for (auto family : {
#define AG_FAMILY(name) derivatives::name,
#include "autograd/derivatives/families.def"
#undef AG_FAMILY
         }) {
      auto* list = new std::vector<Derivative>(family());
      for (const Derivative& d : *list) {
        AG_ASSERT((*t)[static_cast<size_t>(d.op)] == nullptr);
        (*t)[static_cast<size_t>(d.op)] = &d;
      }
    }
    return t;
  }();
  return *built;
}

}  // namespace

const Derivative* find_derivative(OpId op) { return table()[static_cast<size_t>(op)]; }

std::vector<std::string> inconsistent_derivatives() {
  std::vector<std::string> names;
  for (int i = 0; i < kNumOps; ++i) {
    const OpDef& op = op_def(static_cast<OpId>(i));
    const bool declared = op.diff == Diff::Yes;
    if (declared != (find_derivative(op.id) != nullptr)) names.emplace_back(op.name);
  }
  return names;
}

}  // namespace ampgrad
