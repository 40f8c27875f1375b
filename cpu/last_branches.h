#pragma once
// Control-transfer recording by MSRs (APM 2 13.1.6): the last branch, and the last before the last
// interrupt or exception.
#include <cstdint>

namespace hvsim::cpu {

struct LastBranches {
    static constexpr std::uint64_t kLbr = 1;  ///< DebugCtl.LBR

    std::uint64_t debug_control = 0;
    std::uint64_t from = 0, to = 0;
    std::uint64_t exception_from = 0, exception_to = 0;

    bool enabled() const noexcept { return (debug_control & kLbr) != 0; }
    void record(std::uint64_t source, std::uint64_t target) noexcept {
        if (!enabled()) return;
        from = source;
        to = target;
    }
    /// An interrupt or exception; a debug exception ends the recording.
    void record_event(std::uint64_t source, std::uint64_t target, bool debug) noexcept {
        if (!enabled()) return;
        exception_from = from;
        exception_to = to;
        record(source, target);
        if (debug) debug_control &= ~kLbr;
    }
};

}  // namespace hvsim::cpu
