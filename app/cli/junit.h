#pragma once
// A run as JUnit XML, which continuous-integration services read.
#include <string>
#include <vector>

#include "analysis/run_result.h"
#include "app/expect.h"

namespace hvsim::app {

struct ConsoleTail {
    std::string name;
    std::vector<std::string> lines;
};

/// One test suite; a test case for each expectation. `error`: the run could not be held against its
/// golden, or was stopped; empty: neither.
std::string junit_report(const analysis::RunResult& result,
                         const std::vector<Expectation>& expectations, const std::string& error,
                         const std::vector<ConsoleTail>& consoles);

}  // namespace hvsim::app
