#pragma once
// What happened in a run: the one table of event kinds. The record, its text form, the trace file
// and the documentation come from it. Names follow Linux where Linux has one.
#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "sim/time.h"

namespace hvsim::sim {

inline constexpr std::uint16_t kNoUnit = 0xffff;  ///< "no processor/partition" in an Event

// kind, name, level, four argument names ("" = unused). Levels: event = kept by default and part of
// the digest; walk = kept with --trace-level=walk only and never part of the digest, because their
// number depends on the engine's caches; sample = counters of a moment, kept by default, never part
// of the digest for the same reason.
#define HVSIM_EVENTS(X)                                                                          \
    X(VmEntry, "vm_entry", event, "interruption_info", "error_code", "rip", "")                  \
    X(VmExit, "vm_exit", event, "reason", "qualification", "rip", "guest_physical")              \
    X(VmEntryFailed, "vm_entry_failed", event, "rule", "field", "value", "rip")                  \
    X(InstructionRefused, "instruction_refused", event, "rule", "vector", "value", "rip")        \
    X(VmxInstructionFailed, "vmx_instruction_failed", event, "rule", "error", "value", "rip")    \
    X(VmxAbort, "vmx_abort", event, "indicator", "reason", "", "")                               \
    X(Exception, "exception", event, "vector", "error_code", "rip", "address")                   \
    X(Hypercall, "hypercall", event, "code", "control", "status", "reps_done")                   \
    X(SynicMessage, "synic_message", event, "sint", "type", "sender", "payload_size")            \
    X(SynicEvent, "synic_event", event, "sint", "flag", "connection", "")                        \
    X(SynicTimer, "synic_timer", event, "timer", "expiration", "delivered_vector", "")           \
    X(Interrupt, "interrupt", event, "vector", "source", "", "")                                 \
    X(InterruptAccepted, "interrupt_accepted", event, "vector", "cause", "", "")                 \
    X(Ipi, "ipi", event, "vector", "mode", "destination", "")                                    \
    X(MsrIntercept, "msr_intercept", event, "msr", "value", "is_write", "")                      \
    X(IoIntercept, "io_intercept", event, "port", "value", "size", "is_write")                   \
    X(VmbusMessage, "vmbus_message", event, "type", "relid", "to_guest", "size")                 \
    X(VmbusPacket, "vmbus_packet", event, "relid", "transaction", "bytes", "to_guest")           \
    X(VmbusSignal, "vmbus_signal", event, "relid", "to_guest", "", "")                           \
    X(ScsiRequest, "scsi_request", event, "transaction", "operation", "lba", "bytes")            \
    X(ScsiComplete, "scsi_complete", event, "transaction", "srb_status", "scsi_status", "bytes") \
    X(DiskRequest, "disk_request", event, "command_id", "opcode", "lba", "blocks")               \
    X(DiskComplete, "disk_complete", event, "command_id", "status", "latency_ps", "")            \
    X(DmaFault, "dma_fault", event, "source_id", "address", "reason", "is_write")                \
    X(InterruptRemapFault, "interrupt_remap_fault", event, "source_id", "index", "reason", "")   \
    X(IommuInvalidate, "iommu_invalidate", event, "descriptor_low", "descriptor_high", "", "")   \
    X(IommuFault, "iommu_fault", event, "source_id", "address", "reason", "request")             \
    X(PartitionState, "partition_state", event, "state", "", "", "")                             \
    X(VpRun, "vp_run", event, "state", "reason", "time_ps", "")                                  \
    X(Console, "console", event, "byte", "", "", "")                                             \
    X(ConsoleInput, "console_input", event, "byte", "", "", "")                                  \
    X(PowerState, "power_state", event, "state", "vm", "", "")                                   \
    X(GuestCrash, "guest_crash", event, "p0", "p1", "p2", "p3")                                  \
    X(TlbFill, "tlb_fill", walk, "linear", "guest_physical", "system_physical", "access")        \
    X(IotlbMiss, "iotlb_miss", walk, "source_id", "address", "", "")                             \
    X(DiskIssue, "disk_issue", event, "transaction", "command_id", "", "")                       \
    X(DiskTransfer, "disk_transfer", event, "command_id", "bytes", "duration_ps", "")            \
    X(ProcessorSample, "processor_sample", sample, "instructions", "code_bytes", "walks",        \
      "walk_steps")                                                                              \
    X(IommuSample, "iommu_sample", sample, "translations", "iotlb_hits", "context_hits",         \
      "memory_references")

enum class EventKind : std::uint8_t {
#define HVSIM_EVENT_ENUM(kind, ...) k##kind,
    HVSIM_EVENTS(HVSIM_EVENT_ENUM)
#undef HVSIM_EVENT_ENUM
        kCount
};

enum class EventLevel : std::uint8_t { event, walk, sample };

/// One row of the event table.
struct EventDescription {
    std::string_view name;
    EventLevel level;
    std::array<std::string_view, 4> arguments;
};

inline constexpr std::array kEventTable{
#define HVSIM_EVENT_ROW(kind, name, level, a, b, c, d) \
    EventDescription{name, EventLevel::level, {a, b, c, d}},
    HVSIM_EVENTS(HVSIM_EVENT_ROW)
#undef HVSIM_EVENT_ROW
};
static_assert(kEventTable.size() == static_cast<std::size_t>(EventKind::kCount));

constexpr const EventDescription& describe(EventKind kind) {
    return kEventTable[static_cast<std::size_t>(kind)];
}

/// Which argument is the RIP; 4: none.
constexpr std::size_t rip_argument(EventKind kind) {
    const auto& arguments = describe(kind).arguments;
    return static_cast<std::size_t>(std::find(arguments.begin(), arguments.end(), "rip") -
                                    arguments.begin());
}

/// Kinds that come with the code bytes at their argument "rip" where these are known: the
/// instruction that exits or fails. The bytes are no part of the digest.
constexpr bool has_code(EventKind kind) {
    return kind == EventKind::kVmExit || kind == EventKind::kVmEntryFailed ||
           kind == EventKind::kInstructionRefused || kind == EventKind::kVmxInstructionFailed;
}

/// Code bytes at an event's RIP; they may go on behind the instruction, or end in it.
struct Code {
    static constexpr std::size_t kMost = 15;
    std::uint8_t bits = 64;  ///< 16, 32 or 64: what CS makes the default size
    std::uint8_t size = 0;   ///< 0: not known
    std::array<std::uint8_t, kMost> bytes{};
    bool operator==(const Code&) const = default;
};

/// Who an event concerns.
struct Subject {
    std::uint16_t lp = kNoUnit;         ///< logical processor
    std::uint16_t partition = kNoUnit;  ///< partition id, low bits
    std::uint16_t vp = kNoUnit;         ///< virtual processor index
};

/// One event, as kept and digested.
struct Event {
    Time time = 0;
    EventKind kind = EventKind::kVmEntry;
    Subject subject;
    std::array<std::uint64_t, 4> arguments{};
};

}  // namespace hvsim::sim
