// Gradient scaling per element and per step, and the state and plan of autocast.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "amp/policy.h"
#include "math/amp.h"

using namespace ampgrad;

namespace {

struct Scale {
  float scale;
  int32_t tracker = 0;
  void step(bool found_inf, int64_t interval, double min_scale = 0, double growth = 2) {
    math::update_scale(&scale, &tracker, found_inf, growth, 0.5, interval, min_scale);
  }
};

}  // namespace

TEST_CASE("the scale backs off, grows and stays finite") {
  Scale s{8};
  s.step(false, 2);
  CHECK(s.scale == 8);
  CHECK(s.tracker == 1);
  s.step(false, 2);
  CHECK(s.scale == 16);
  CHECK(s.tracker == 0);
  s.step(false, 2);
  s.step(true, 2);
  CHECK(s.scale == 8);
  CHECK(s.tracker == 0);
  Scale large{3e38f};
  large.step(false, 1);
  CHECK(large.scale == 3e38f);
  CHECK(large.tracker == 0);
}

TEST_CASE("the scale stops at its minimum, but is not raised to it") {
  Scale s{3};
  s.step(true, 1, 2);
  CHECK(s.scale == 2);
  s.step(true, 1, 2);
  CHECK(s.scale == 2);
  Scale below{1};
  below.step(true, 1, 2);
  CHECK(below.scale == 1);
}

TEST_CASE("the finite test of every dtype") {
  const float inf = std::numeric_limits<float>::infinity();
  for (float bad : {inf, -inf, std::nanf("")}) {
    CHECK_FALSE(math::is_finite(bad));
    CHECK_FALSE(math::is_finite(static_cast<double>(bad)));
    CHECK_FALSE(math::is_finite(to_half(bad)));
    CHECK_FALSE(math::is_finite(to_bfloat16(bad)));
  }
  for (float good : {0.0f, -65504.0f, 1e-8f}) {
    CHECK(math::is_finite(good));
    CHECK(math::is_finite(static_cast<double>(good)));
    CHECK(math::is_finite(to_half(good)));
    CHECK(math::is_finite(to_bfloat16(good)));
  }
  CHECK(math::is_finite(std::numeric_limits<float>::max()));
  CHECK(math::is_finite(std::numeric_limits<double>::max()));
}

TEST_CASE("halves are unscaled with one rounding") {
  CHECK(to_float(math::unscale(to_half(3.0f), 1.0f / 65536.0f)) == 3.0f / 65536.0f);
  CHECK(to_float(math::unscale(to_bfloat16(3.0f), 0.5f)) == 1.5f);
  CHECK(math::unscale(1e300, 0.5f) == 5e299);
}

TEST_CASE("guards and depth of autocast") {
  AutocastState on;
  on.devices[0].enabled = true;
  const AutocastState off;
  CHECK_FALSE(Autocast::active());
  Autocast::set_state(on);
  CHECK(Autocast::active());
  {
    const AutocastOff below;
    CHECK_FALSE(Autocast::active());
  }
  CHECK(Autocast::active());
  Autocast::set_state(off);
  CHECK_FALSE(Autocast::active());
  Autocast::enter();
  Autocast::enter();
  CHECK_FALSE(Autocast::exit());
  CHECK(Autocast::exit());
  CHECK_FALSE(Autocast::exit());
}

TEST_CASE("eligible tensors are floating, on the device and not float64") {
  for (DType d : {DType::Float16, DType::BFloat16, DType::Float32}) {
    CHECK(autocast_eligible(Tensor::empty(Dims{2}, d), DeviceType::Cpu));
    CHECK_FALSE(autocast_eligible(Tensor::empty(Dims{2}, d), DeviceType::Cuda));
  }
  for (DType d : {DType::Float64, DType::Int64, DType::Bool}) {
    CHECK_FALSE(autocast_eligible(Tensor::empty(Dims{2}, d), DeviceType::Cpu));
  }
  CHECK_FALSE(autocast_eligible(Tensor(), DeviceType::Cpu));
}

TEST_CASE("plans follow the list of the region") {
  AutocastState state;
  state.devices[0] = {true, DType::Float16, DeviceType::Cpu};
  const Tensor x = Tensor::empty(Dims{2, 2}, DType::Float32);
  const Tensor wide = Tensor::empty(Dims{2, 2}, DType::Float64);
  const OpDef& mm = op_def(OpId::mm);
  CHECK(plan_casts(mm, {Value(x), Value(x)}, state).target == DType::Float16);
  CHECK_FALSE(plan_casts(op_def(OpId::exp), {Value(x)}, state).listed);
  CHECK_THROWS_AS(plan_casts(mm, {Value(wide), Value(x)}, state), Error);
  CHECK_FALSE(plan_casts(mm, {Value(x), Value(x)}, AutocastState()).listed);
  state.devices[0].list = DeviceType::Cuda;
  CHECK(plan_casts(op_def(OpId::exp), {Value(x)}, state).target == DType::Float32);
  const Values sum{Value(x), Value(), Value(false), Value()};
  CHECK(plan_casts(op_def(OpId::sum), sum, state).dtype_argument == 3);
}
