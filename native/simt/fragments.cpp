#include "simt/fragments.h"

#include <algorithm>
#include <iterator>

#include "simt/config.h"
#include "simt/executor.h"

namespace simt {

namespace {

struct Placement {
  uint64_t seed = 0;
  bool made = false;
  int element[512];
};

// Whether code that counts on a layout would look for the element here: by rows, by columns, either
// with the copies of an element side by side, or as hardware of today holds sums, or transposed.
bool is_expected(int place, int per_lane, int element) {
  const int lane = place / per_lane;
  const int i = place % 8;
  const int row = lane / 4 + i / 2 % 2 * 8;
  const int column = lane % 4 * 2 + i % 2 + i / 4 * 8;
  const int by_rows[] = {place % 256, place / (per_lane / 8), row * 16 + column};
  return std::any_of(std::begin(by_rows), std::end(by_rows),
                     [element](int e) { return element == e || element == e % 16 * 16 + e / 16; });
}

// Nothing is where it might be expected: the one element that a bug counts on would else be right
// under some of the seeds.
void draw(Placement* p, int copies, uint64_t seed) {
  const int n = 256 * copies;
  for (int i = 0; i < n; ++i) p->element[i] = i % 256;
  Random random(seed + static_cast<uint64_t>(copies));
  for (int i = n - 1; i > 0; --i) {
    std::swap(p->element[i], p->element[random.below(static_cast<uint32_t>(i) + 1)]);
  }
  const auto fits = [&](int at, int from) {
    return !is_expected(at, 8 * copies, p->element[from]);
  };
  for (int i = 0; i < n; ++i) {
    while (!fits(i, i)) {
      const auto other = static_cast<int>(random.below(static_cast<uint32_t>(n)));
      if (fits(i, other) && fits(other, i)) std::swap(p->element[i], p->element[other]);
    }
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
