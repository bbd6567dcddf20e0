// What tests ask of the emulator beyond the CUDA API: a fresh start, the report of the last
// failure, and a way to run host code that is expected to touch device memory.
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "simt/config.h"

namespace simt {

// Forgets devices, streams, memory and errors; the next call starts with config() as it is then.
void reset();
// The report of the failure that made the device unusable; empty when there is none.
const std::string& last_report();
// Runs `body`; returns the report when it reads or writes device memory, empty otherwise.
std::string catch_host_fault(const std::function<void()>& body);

// One call of the API at a time.
std::recursive_mutex& api_mutex();
// Faults of kernels on the calling thread become reports from here on.
void install_fault_handler();

// Limits of an architecture: 75, 80, 86, 89, 90, 100 or 120.
struct Architecture {
  int number;
  const char* name;
  int multiprocessors;
  int threads_per_multiprocessor;
  size_t shared_per_multiprocessor;
  size_t shared_per_block_optin;
  int l2_bytes;
};
const Architecture& architecture();

}  // namespace simt
