// Derivatives of pooling: averages are linear; maxima are a gather along recorded positions.
#include "autograd/derivative.h"

namespace ampgrad::derivatives {

namespace {

Dims last(DimsView sizes, size_t n) { return Dims(sizes.slice(sizes.size() - n, n)); }

// A gradient that arrived at positions goes back to where they point.
void max_backward(Backward& b, size_t dims) {
  b.set(0,
        [&] { return ops::poolScatter(b.grad(), b.output(1), last(b.meta(0).sizes, dims), true); });
}

}  // namespace

std::vector<Derivative> pool() {
  return {
      {OpId::maxPoolForward,
       {out(1)},
       [](Backward& b) { max_backward(b, b.attr<Dims>(1).size()); }},
      {OpId::adaptiveMaxPoolForward,
       {out(1)},
       [](Backward& b) { max_backward(b, b.attr<Dims>(1).size()); }},
      {OpId::fractionalMaxPoolForward,
       {out(1)},
       [](Backward& b) { max_backward(b, b.attr<Dims>(1).size()); }},
      {OpId::poolScatter,
       {in(1)},
       [](Backward& b) {
         const auto dims = static_cast<int64_t>(b.attr<Dims>(2).size());
         b.set(0, [&] { return ops::poolGather(b.grad(), b.input(1), dims); });
       }},
      {OpId::poolGather,
       {in(1)},
       [](Backward& b) {
         const Dims size = last(b.meta(0).sizes, static_cast<size_t>(b.attr<int64_t>(2)));
         b.set(0, [&] { return ops::poolScatter(b.grad(), b.input(1), size, true); });
       }},
      {OpId::avgPoolForward,
       {},
       [](Backward& b) {
         const Dims& kernel = b.attr<Dims>(1);
         b.set(0, [&] {
           return ops::avgPoolBackward(b.grad(), last(b.meta(0).sizes, kernel.size()), kernel,
                                       b.attr<Dims>(2), b.attr<Dims>(3), b.attr<bool>(4),
                                       b.attr<bool>(5), b.opt_attr<int64_t>(6));
         });
       }},
      {OpId::avgPoolBackward,
       {},
       [](Backward& b) {
         b.set(0, [&] {
           return ops::avgPoolForward(b.grad(), b.attr<Dims>(2), b.attr<Dims>(3), b.attr<Dims>(4),
                                      b.attr<bool>(5), b.attr<bool>(6), b.opt_attr<int64_t>(7));
         });
       }},
      {OpId::adaptiveAvgPoolForward,
       {},
       [](Backward& b) {
         b.set(0, [&] {
           const size_t n = b.attr<Dims>(1).size();
           return ops::adaptiveAvgPoolBackward(b.grad(), last(b.meta(0).sizes, n));
         });
       }},
      {OpId::adaptiveAvgPoolBackward,
       {},
       [](Backward& b) {
         b.set(0, [&] {
           const size_t n = b.attr<Dims>(1).size();
           return ops::adaptiveAvgPoolForward(b.grad(), last(b.meta(0).sizes, n));
         });
       }},
  };
}

}  // namespace ampgrad::derivatives
