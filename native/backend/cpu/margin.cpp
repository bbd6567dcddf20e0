// The multilabel margin loss on the CPU: every label of a row against every class that is none.
// Memory for one mark a class, not for all pairs.
#include <algorithm>
#include <vector>

#include "backend/cpu/parallel.h"
#include "backend/cpu/register.h"
#include "ops/kernels.h"
#include "ops/margin_params.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kGrain = 1 << 13;

// How much closer than 1 the classes that are no labels come to `score`; with `grad`, each that
// does pushes: `step` to its gradient, and their sum is returned in `pushed`.
template <class T>
T shortfall(const T* x, const char* is_label, int64_t classes, T score, T step, T* grad,
            T* pushed) {
  T sum{0};
  int64_t count = 0;
  for (int64_t c = 0; c < classes; ++c) {
    const T z = T{1} - score + x[c];
    if (is_label[c] != 0 || z <= T{0}) continue;
    sum += z;
    if (grad == nullptr) continue;
    grad[c] += step;
    ++count;
  }
  if (grad != nullptr) *pushed = step * static_cast<T>(count);
  return sum;
}

template <class T>
void margin_cell(const MultilabelMarginParams& p, const void*) {
  const int64_t n = p.classes;
  parallel_for(p.rows, std::max<int64_t>(1, kGrain / (n * 4)), [&](int64_t begin, int64_t end) {
    std::vector<char> is_label(static_cast<size_t>(n));
    for (int64_t row = begin; row < end; ++row) {
      const T* x = static_cast<const T*>(p.in) + row * n;
      const int64_t* labels = p.target + row * n;
      const int64_t count =
          std::find_if(labels, labels + n, [](int64_t y) { return y < 0; }) - labels;
      std::fill(is_label.begin(), is_label.end(), char{0});
      for (int64_t i = 0; i < count; ++i) is_label[static_cast<size_t>(labels[i])] = 1;
      T* grad = p.grad == nullptr ? nullptr : static_cast<T*>(p.out) + row * n;
      T step{0};
      if (grad != nullptr) {
        std::fill_n(grad, n, T{0});
        step = static_cast<const T*>(p.grad)[row] / static_cast<T>(n);
      }
      T loss{0};
      for (int64_t i = 0; i < count; ++i) {
        T pushed{0};
        loss += shortfall(x, is_label.data(), n, x[labels[i]], step, grad, &pushed);
        if (grad != nullptr) grad[labels[i]] -= pushed;
      }
      if (grad == nullptr) static_cast<T*>(p.out)[row] = loss / static_cast<T>(n);
    }
  });
}

template <class T>
void set_margin() {
  for (OpId op : {OpId::multilabelMarginForward, OpId::multilabelMarginBackward}) {
    KernelTable::set<MultilabelMarginParams>(op, DeviceType::Cpu, dtype_of<T>, margin_cell<T>);
  }
}

}  // namespace

void register_margin() {
  set_margin<float>();
  set_margin<double>();
}

}  // namespace ampgrad::cpu
