#include "core/rng.h"

#include <random>

namespace ampgrad {

namespace {

Generator*& scoped_generator() {
  thread_local Generator* current = nullptr;
  return current;
}

}  // namespace

void Generator::manual_seed(uint64_t seed) {
  const std::lock_guard<std::mutex> lock(mutex_);
  state_ = {seed, 0};
}

uint64_t Generator::seed() {
  std::random_device entropy;
  const uint64_t value =
      ((static_cast<uint64_t>(entropy()) << 32) | entropy()) & ((uint64_t{1} << 53) - 1);
  manual_seed(value);
  return value;
}

uint64_t Generator::initial_seed() const { return state().seed; }

PhiloxState Generator::state() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return state_;
}

void Generator::set_state(PhiloxState state) {
  const std::lock_guard<std::mutex> lock(mutex_);
  state_ = state;
}

PhiloxState Generator::reserve(uint64_t blocks) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const PhiloxState begin = state_;
  state_.offset += blocks;
  return begin;
}

Generator& default_generator() {
  thread_local Generator own;
  Generator* scoped = scoped_generator();
  return scoped != nullptr ? *scoped : own;
}

GeneratorScope::GeneratorScope(Generator& generator) : previous_(scoped_generator()) {
  scoped_generator() = &generator;
}

GeneratorScope::~GeneratorScope() { scoped_generator() = previous_; }

}  // namespace ampgrad
