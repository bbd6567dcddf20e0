// Derivatives of dropout, padding and interpolation: all linear in their input.
#include "autograd/derivative.h"

namespace ampgrad::derivatives {

namespace {

Dims last(DimsView sizes, size_t n) { return Dims(sizes.slice(sizes.size() - n, n)); }

Dims negated(const Dims& pad) {
  Dims out;
  for (int64_t v : pad) out.push_back(-v);
  return out;
}

void resample(Backward& b) {
  const Dims& size = b.attr<Dims>(1);
  b.set(0, [&] {
    return ops::resampleBackward(b.grad(), last(b.meta(0).sizes, size.size()), size,
                                 b.attr<std::string>(2), b.attr<bool>(3), b.attr<bool>(4),
                                 b.opt_attr<Doubles>(5));
  });
}

void grid_sample(Backward& b) {
  auto [input, grid] = ops::gridSampleBackward(
      b.grad(), b.input(0), b.input(1), b.attr<std::string>(2), b.attr<std::string>(3),
      b.opt_attr<bool>(4), Dims{b.needs(0) ? 1 : 0, b.needs(1) ? 1 : 0});
  if (b.needs(0)) b.set(0, input);
  if (b.needs(1)) b.set(1, grid);
}

}  // namespace

std::vector<Derivative> spatial() {
  return {
      {OpId::nativeDropout,
       {out(1)},
       [](Backward& b) {
         const double p = b.attr<double>(1);
         b.set(0, [&] {
           return ops::dropoutBackward(b.grad(), b.output(1), p == 1 ? 0.0 : 1 / (1 - p));
         });
       }},
      {OpId::dropoutBackward,
       {in(1)},
       [](Backward& b) {
         b.set(0, [&] { return ops::dropoutBackward(b.grad(), b.input(1), b.attr<double>(2)); });
       }},
      {OpId::constantPadNd,
       {},
       [](Backward& b) {
         b.set(0, [&] {
           return ops::constantPadNd(b.grad(), negated(b.attr<Dims>(1)), Scalar(int64_t{0}));
         });
       }},
      {OpId::padResample,
       {},
       [](Backward& b) {
         b.set(0, [&] {
           const Dims& pad = b.attr<Dims>(1);
           return ops::padResampleBackward(b.grad(), last(b.meta(0).sizes, pad.size() / 2), pad,
                                           b.attr<std::string>(2));
         });
       }},
      {OpId::padResampleBackward,
       {},
       [](Backward& b) {
         b.set(0,
               [&] { return ops::padResample(b.grad(), b.attr<Dims>(2), b.attr<std::string>(3)); });
       }},
      {OpId::gridSample, {in(0), in(1)}, grid_sample},
      {OpId::resample, {}, resample},
      {OpId::resampleBackward,
       {},
       [](Backward& b) {
         b.set(0, [&] {
           return ops::resample(b.grad(), b.attr<Dims>(2), b.attr<std::string>(3), b.attr<bool>(4),
                                b.attr<bool>(5), b.opt_attr<Doubles>(6));
         });
       }},
  };
}

}  // namespace ampgrad::derivatives
