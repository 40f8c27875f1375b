#pragma once
// A processor as a run had it at one moment, as plain data.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hvsim::analysis {

struct ProcessorState {
    std::string name;  ///< "partition 2 vp 0", "lp 1"
    std::vector<std::pair<std::string, std::uint64_t>> registers;
    std::vector<std::string> code;  ///< disassembly from RIP on, a line each
};

}  // namespace hvsim::analysis
