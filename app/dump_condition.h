#pragma once
// When a control block is to be dumped, as people write it for `hvsim run --dump-vmcs`.
#include <cstdint>
#include <optional>
#include <string>

#include "sim/event.h"
#include "sim/trace_names.h"

namespace hvsim::app {

struct DumpCondition {
    enum class Kind : std::uint8_t {
        failed_entry,  ///< the first entry that fails
        exit_number,   ///< the exit of that number, the first is 1
        exit_reason,   ///< the exit of that number among those of one reason
        time,          ///< the first exit or failed entry at or after a virtual time
    };
    Kind kind = Kind::failed_entry;
    std::uint64_t number = 1;
    std::uint64_t reason = 0;
    sim::Time time = 0;
    // Whose exits count; nothing: all.
    std::optional<std::uint16_t> lp, partition, vp;
    std::string text;  ///< as it was written
};

/// "failed", "12", "cpuid", "VMEXIT_CPUID:3", "1.5 s"; each may end in "@lp0", "@p2" or "@p2vp0".
/// `names` has the exit reasons. Throws ConfigError.
DumpCondition parse_dump_condition(const std::string& text, const sim::TraceNames& names);

}  // namespace hvsim::app
