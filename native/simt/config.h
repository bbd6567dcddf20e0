// What a run of the emulator is made of: the seed and the orders it draws, the architecture whose
// limits hold, the devices, and the faults to inject. Read once from AMPGRAD_SIMT_* variables;
// tests set it directly. Owns also the random numbers that all schedules come from.
#pragma once

#include <cstddef>
#include <cstdint>

namespace simt {

// The order in which the ready threads of a block run.
enum class Order : uint8_t {
  Random,        // a new permutation after every barrier
  Ascending,     // by thread index
  Descending,    //
  WarpReversed,  // warps ascending, the lanes of each descending
  WarpAhead,     // one warp runs as far as it can before any other starts
  Drawn,         // one of the above, drawn anew for each launch
};

// When the work of streams runs. Whatever is chosen, the order among streams is drawn.
enum class StreamMode : uint8_t {
  Eager,   // at once
  Lazy,    // only when the host asks for a result
  Random,  // some of it after each call
};

struct Config {
  uint64_t seed = 0;
  Order order = Order::Drawn;
  StreamMode streams = StreamMode::Random;
  int arch = 90;
  int devices = 1;
  size_t memory = size_t{1} << 30;  // bytes of each device
  int poison = 0xff;                // what memory holds before it is written
  bool strict_exit = true;          // a thread may not exit while others wait at a barrier
  bool no_driver = false;
  int64_t fail_allocation = 0;  // the n-th allocation from here on fails; 0: none
  int64_t fail_launch = 0;      // likewise for launches
  bool print_reports = true;    // failures also go to stderr
  // In a build with AddressSanitizer what stands around arrays is closed to it. A touch ends the
  // process: tests of the emulator's own checks turn this off.
  bool close_surroundings = true;
};

// The configuration of the process. Change it only while nothing runs.
Config& config();

class Random {
 public:
  explicit Random(uint64_t seed = 0) : state_(seed * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }
  // Uniform in [0, n)
  uint32_t below(uint32_t n) { return static_cast<uint32_t>((next() >> 32) * n >> 32); }

 private:
  uint64_t state_;
};

const char* order_name(Order order);

}  // namespace simt
