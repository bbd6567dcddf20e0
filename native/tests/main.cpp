// Entry point of the C++ unit tests. It holds doctest's implementation, which is compiled once
// here, so that test files only include the header.
// Run the program with --help for its options.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
