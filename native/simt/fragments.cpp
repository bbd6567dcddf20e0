#include "simt/fragments.h"

#include <numeric>

#include "simt/config.h"
#include "simt/executor.h"

namespace simt {

namespace {

struct Placement {
  uint64_t seed = 0;
  bool made = false;
  int element[512];
};

void draw(Placement* p, int copies, uint64_t seed) {
  const int n = 256 * copies;
  for (int i = 0; i < n; ++i) p->element[i] = i % 256;
  Random random(seed + static_cast<uint64_t>(copies));
  for (int i = n - 1; i > 0; --i) {
    std::swap(p->element[i], p->element[random.below(static_cast<uint32_t>(i) + 1)]);
  }
  p->seed = seed;
  p->made = true;
}

}  // namespace

int fragment_element(int lane, int i, int per_lane) {
  static Placement placements[2];
  const int copies = per_lane / 8;
  Placement& p = placements[copies - 1];
  const uint64_t seed = executor().fragment_seed();
  if (!p.made || p.seed != seed) draw(&p, copies, seed);
  return p.element[lane * per_lane + i];
}

void require_arch(int arch, const char* what) {
  if (config().arch < arch) {
    executor().fail([&] { return std::string(what) + " need sm_" + std::to_string(arch); }());
  }
}

}  // namespace simt
