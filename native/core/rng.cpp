#include "core/rng.h"

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "core/generators.h"

namespace ampgrad {

namespace {

struct ThreadGenerators {
  Generator cpu;
  std::vector<std::unique_ptr<Generator>> cuda;
  uint64_t seed = Generator::kDefaultSeed;
};

ThreadGenerators& thread_generators() {
  thread_local ThreadGenerators all;
  return all;
}

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

Generator& default_generator() { return default_generator(Device{}); }

Generator& default_generator(Device device) {
  Generator* scoped = scoped_generator();
  if (scoped != nullptr) return *scoped;
  return generator_at(device.is_cpu() ? 0 : 1 + device.index);
}

void manual_seed_all(uint64_t seed) {
  ThreadGenerators& all = thread_generators();
  all.seed = seed;
  for (int i = 0; i < generator_count(); ++i) generator_at(i).manual_seed(seed);
}

int generator_count() { return 1 + static_cast<int>(thread_generators().cuda.size()); }

Generator& generator_at(int number) {
  ThreadGenerators& all = thread_generators();
  if (number == 0) return all.cpu;
  while (generator_count() <= number) {
    all.cuda.push_back(std::make_unique<Generator>(all.seed));
  }
  return *all.cuda[static_cast<size_t>(number - 1)];
}

void keep_generators(int count) {
  auto& cuda = thread_generators().cuda;
  cuda.resize(std::min(cuda.size(), static_cast<size_t>(std::max(count, 1) - 1)));
}

GeneratorScope::GeneratorScope(Generator& generator) : previous_(scoped_generator()) {
  scoped_generator() = &generator;
}

GeneratorScope::~GeneratorScope() { scoped_generator() = previous_; }

}  // namespace ampgrad
