// What the seed decides and what it must not: the orders of threads and blocks, the same run again
// for the same seed, stacks only for threads that wait, and results that no schedule may change
// (atomics, random numbers).
#include <algorithm>
#include <numeric>
#include <set>

#include "core/rng.h"
#include "simt_support.h"

using simt::Order;
using simt_test::Buffer;
using simt_test::for_each_schedule;
using simt_test::kSeeds;
using simt_test::launch;
using simt_test::start;

namespace {

constexpr unsigned kThreads = 128;
constexpr unsigned kRounds = 4;  // in which a warp meets

using Turns = std::vector<unsigned>;

void note_turn(unsigned* turns, unsigned* next) { turns[atomicAdd(next, 1u)] = threadIdx.x; }

void note_blocks(unsigned* turns, unsigned* next) { turns[atomicAdd(next, 1u)] = blockIdx.x; }

void note_rounds(unsigned* turns, unsigned* next) {
  for (unsigned round = 0; round < kRounds; ++round) {
    turns[atomicAdd(next, 1u)] = threadIdx.x;
    __syncwarp();
  }
}

void note_epochs(unsigned* turns, unsigned* next) {
  turns[atomicAdd(next, 1u)] = threadIdx.x;
  __syncthreads();
  turns[atomicAdd(next, 1u)] = threadIdx.x;
}

Turns turns_of(void (*kernel)(unsigned*, unsigned*), unsigned blocks, unsigned threads,
               size_t count) {
  Buffer<unsigned> turns(count);
  Buffer<unsigned> next(Turns{0});
  launch("note", kernel, blocks, threads, 0, nullptr, turns.data(), next.data());
  const Turns got = turns.host();
  REQUIRE(simt::last_report() == "");
  return got;
}

Turns threads_of(Order order, unsigned threads, uint64_t seed = 0) {
  start(seed, order);
  return turns_of(note_turn, 1, threads, threads);
}

Turns counting(unsigned n) {
  Turns all(n);
  std::iota(all.begin(), all.end(), 0u);
  return all;
}

Turns sorted(Turns turns) {
  std::sort(turns.begin(), turns.end());
  return turns;
}

void frame_addresses(uintptr_t* out, bool wait) {
  if (wait) __syncthreads();
  out[threadIdx.x] = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
}

size_t num_stacks(bool wait) {
  Buffer<uintptr_t> out(kThreads);
  launch("frame_addresses", frame_addresses, 1, kThreads, 0, nullptr, out.data(), wait);
  const std::vector<uintptr_t> got = out.host();
  return std::set<uintptr_t>(got.begin(), got.end()).size();
}

void fails(int* out) { out[threadIdx.x] = __shfl_sync(1u, 1, 0); }

struct Counters {
  int sum, least, most, bits_and, bits_or, bits_xor, last;
  unsigned around, down, product;
  unsigned long long wide;
  float real;
  double wide_real;
};

void count(Counters* c) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  atomicAdd(&c->sum, i);
  atomicSub(&c->sum, 1);
  atomicMin(&c->least, 1000 - i);
  atomicMax(&c->most, i - 1000);
  atomicAnd(&c->bits_and, ~(1 << i % 31));
  atomicOr(&c->bits_or, 1 << i % 31);
  atomicXor(&c->bits_xor, 1 << i % 29);
  atomicExch(&c->last, 7);
  atomicInc(&c->around, 99u);
  atomicDec(&c->down, 99u);
  __syncwarp();
  unsigned old = c->product;
  for (unsigned seen = ~old; seen != old;) {
    seen = old;
    old = atomicCAS(&c->product, seen, seen * 3u);
  }
  atomicAdd(&c->wide, 1ull << 32);
  atomicAdd(&c->real, 0.25f);
  atomicAdd(&c->wide_real, 0.5);
}

void lost_updates(int* total) {
  const int old = *total;
  __syncwarp();
  *total = old + 1;
}

void draw(uint32_t* out, uint64_t seed) {
  const auto block = ampgrad::philox_block(seed, threadIdx.x);
  for (unsigned k = 0; k < 4; ++k) out[threadIdx.x * 4 + k] = block.words[k];
}

}  // namespace

TEST_CASE("simt: threads run in the order that was asked for") {
  constexpr unsigned kOdd = 100;  // the last warp is not full
  CHECK(threads_of(Order::Ascending, kOdd) == counting(kOdd));
  Turns descending = counting(kOdd);
  std::reverse(descending.begin(), descending.end());
  CHECK(threads_of(Order::Descending, kOdd) == descending);
  Turns lanes_reversed = counting(kOdd);
  for (unsigned first = 0; first < kOdd; first += 32) {
    std::reverse(lanes_reversed.begin() + first,
                 lanes_reversed.begin() + std::min(first + 32, kOdd));
  }
  CHECK(threads_of(Order::WarpReversed, kOdd) == lanes_reversed);
  std::set<Turns> drawn;
  for (int seed = 0; seed < kSeeds; ++seed) {
    const Turns turns = threads_of(Order::Random, kOdd, static_cast<uint64_t>(seed));
    CHECK(sorted(turns) == counting(kOdd));
    drawn.insert(turns);
  }
  CHECK(drawn.size() == kSeeds);
}

TEST_CASE("simt: one warp runs far ahead") {
  std::set<unsigned> leaders;
  for (int seed = 0; seed < kSeeds; ++seed) {
    start(static_cast<uint64_t>(seed), Order::WarpAhead);
    const Turns turns = turns_of(note_rounds, 1, kThreads, kThreads * kRounds);
    const unsigned leader = turns[0] / 32;
    for (unsigned i = 0; i < 32 * kRounds; ++i) CHECK(turns[i] / 32 == leader);
    leaders.insert(leader);
  }
  CHECK(leaders.size() == kThreads / 32);
}

TEST_CASE("simt: a barrier starts a new permutation") {
  start(0, Order::Random);
  const Turns turns = turns_of(note_epochs, 1, kThreads, 2 * kThreads);
  const Turns before(turns.begin(), turns.begin() + kThreads);
  const Turns after(turns.begin() + kThreads, turns.end());
  CHECK(sorted(before) == sorted(after));
  CHECK(before != after);
}

TEST_CASE("simt: blocks run in an order too") {
  constexpr unsigned kBlocks = 21;
  start(0, Order::Ascending);
  CHECK(turns_of(note_blocks, kBlocks, 1, kBlocks) == counting(kBlocks));
  start(0, Order::Descending);
  Turns descending = counting(kBlocks);
  std::reverse(descending.begin(), descending.end());
  CHECK(turns_of(note_blocks, kBlocks, 1, kBlocks) == descending);
  std::set<Turns> drawn;
  for (int seed = 0; seed < kSeeds; ++seed) {
    start(static_cast<uint64_t>(seed), Order::Random);
    drawn.insert(turns_of(note_blocks, kBlocks, 1, kBlocks));
    CHECK(sorted(*drawn.rbegin()) == counting(kBlocks));
  }
  CHECK(drawn.size() > kSeeds / 2);
}

TEST_CASE("simt: the same seed gives the same run, and draws every order in time") {
  std::set<std::string> orders;
  for (int seed = 0; seed < 2 * kSeeds; ++seed) {
    const auto at = static_cast<uint64_t>(seed);
    CHECK(threads_of(Order::Drawn, kThreads, at) == threads_of(Order::Drawn, kThreads, at));
    start(at);
    Buffer<int> out(32);
    launch("fails", fails, 1, 32, 0, nullptr, out.data());
    CHECK(cudaDeviceSynchronize() == cudaErrorLaunchFailure);
    const std::string report = simt::last_report();
    orders.insert(report.substr(report.rfind(' ') + 1));
  }
  CHECK(orders.size() == 5);
}

TEST_CASE("simt: only threads that wait get a stack of their own") {
  for_each_schedule([] {
    CHECK(num_stacks(false) == 1);
    CHECK(num_stacks(true) == kThreads);
  });
}

TEST_CASE("simt: atomics lose nothing; what is read and written in two steps does") {
  constexpr int kBlocks = 3;
  constexpr int kTotal = kBlocks * static_cast<int>(kThreads);
  for_each_schedule([] {
    Counters zero{};
    zero.least = 5000;
    zero.most = -5000;
    zero.bits_and = -1;
    zero.product = 1;
    Buffer<Counters> counters(std::vector<Counters>{zero});
    launch("count", count, kBlocks, kThreads, 0, nullptr, counters.data());
    const Counters c = counters.host()[0];
    REQUIRE(simt::last_report() == "");
    CHECK(c.sum == kTotal * (kTotal - 1) / 2 - kTotal);
    CHECK(c.least == 1000 - (kTotal - 1));
    CHECK(c.most == kTotal - 1 - 1000);
    CHECK(static_cast<unsigned>(c.bits_and) == 1u << 31);
    CHECK(c.bits_or == 0x7fffffff);
    int flipped = 0;
    for (int i = 0; i < kTotal; ++i) flipped ^= 1 << i % 29;
    CHECK(c.bits_xor == flipped);
    CHECK(c.last == 7);
    CHECK(c.around == kTotal % 100);
    CHECK(c.down == (100 - kTotal % 100) % 100);
    unsigned product = 1;
    for (int i = 0; i < kTotal; ++i) product *= 3u;
    CHECK(c.product == product);
    CHECK(c.wide == static_cast<unsigned long long>(kTotal) << 32);
    CHECK(c.real == kTotal * 0.25f);
    CHECK(c.wide_real == kTotal * 0.5);
    Buffer<int> total(std::vector<int>{0});
    launch("lost_updates", lost_updates, 1, kThreads, 0, nullptr, total.data());
    CHECK(total.host()[0] < static_cast<int>(kThreads));
  });
}

TEST_CASE("simt: kernels draw the numbers of the host") {
  for_each_schedule([] {
    const uint64_t seed = simt::config().seed << 40 | 17;
    Buffer<uint32_t> out(kThreads * 4);
    launch("draw", draw, 1, kThreads, 0, nullptr, out.data(), seed);
    const std::vector<uint32_t> got = out.host();
    for (unsigned t = 0; t < kThreads; ++t) {
      const ampgrad::PhiloxBlock want = ampgrad::philox_block(seed, t);
      CHECK(std::equal(want.words, want.words + 4, got.begin() + t * 4));
    }
  });
  // The known answers of the authors' distribution.
  const uint32_t counter[4] = {0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u};
  const uint32_t key[2] = {0xa4093822u, 0x299f31d0u};
  const ampgrad::PhiloxBlock known = ampgrad::philox(counter, key);
  const uint32_t want[4] = {0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u};
  CHECK(std::equal(want, want + 4, known.words));
}
