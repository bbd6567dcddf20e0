// The Generator that hands out ranges of Philox's counter. A number is a pure function of (seed,
// counter, lane), so the result of a draw does not depend on how many threads computed it, nor on
// the device.
#pragma once

#include <cstdint>
#include <mutex>

#include "core/philox.h"

namespace ampgrad {

class Generator {
 public:
  // Every generator starts from the same documented seed, as PyTorch's default one does.
  static constexpr uint64_t kDefaultSeed = 67280421310721ull;

  explicit Generator(uint64_t seed = kDefaultSeed) : state_{seed, 0} {}

  // Restarts the stream.
  void manual_seed(uint64_t seed);
  // Restarts from the operating system's entropy and returns the seed it chose (53 bits, so that
  // it survives a trip through a JavaScript number).
  uint64_t seed();
  uint64_t initial_seed() const;

  PhiloxState state() const;
  void set_state(PhiloxState state);

  // Reserves `blocks` blocks of the stream for one draw and returns where they begin.
  PhiloxState reserve(uint64_t blocks);

 private:
  mutable std::mutex mutex_;
  PhiloxState state_;
};

// The generator of the calling thread (each JavaScript environment has its own, on its thread),
// or the one that a GeneratorScope put in its place.
Generator& default_generator();

class GeneratorScope {
 public:
  explicit GeneratorScope(Generator& generator);
  ~GeneratorScope();
  GeneratorScope(const GeneratorScope&) = delete;
  GeneratorScope& operator=(const GeneratorScope&) = delete;

 private:
  Generator* previous_;
};

}  // namespace ampgrad
