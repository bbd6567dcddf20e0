// The random generators of the calling thread (each JavaScript environment has its own, on its
// thread): the CPU's, which is default_generator() of rng.h, and one a CUDA device. All start from
// the same seed, so that a device draws the numbers that the CPU would.
#pragma once

#include "core/device.h"
#include "core/rng.h"

namespace ampgrad {

// Or the one that a GeneratorScope put in the place of all of them.
Generator& default_generator(Device device);
// Restarts all of them; a device that is used first later starts from the same seed.
void manual_seed_all(uint64_t seed);
// By number: 0 is the CPU's, 1 + i that of cuda:i. Those of devices exist once they are used.
int generator_count();
Generator& generator_at(int number);
// Forgets those from `count` on: used again, they start from the seed of the last restart.
void keep_generators(int count);

}  // namespace ampgrad
