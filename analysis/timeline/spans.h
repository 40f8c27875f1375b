#pragma once
// What belongs together in a trace: an exit and the entry after it, a request and its answer. Times
// and durations are picoseconds of virtual time; kNever: it did not happen, or the trace does not
// tell.
#include <cstdint>
#include <string>
#include <vector>

#include "sim/event.h"

namespace hvsim::analysis {

enum class ProcessorMode : std::uint8_t {
    guest,       ///< a virtual processor runs (code, or the root partition's program)
    hypervisor,  ///< it handles an exit
    switching,   ///< it changes the virtual processor or looks for one
    idle,        ///< nothing can run
};

/// What a logical processor did for a time. Spans of one processor follow each other without
/// overlap; those that take no time are left out.
struct ProcessorSpan {
    std::uint16_t lp = sim::kNoUnit;
    ProcessorMode mode = ProcessorMode::guest;
    sim::Subject runs;         ///< guest, hypervisor: whose it is
    std::uint64_t reason = 0;  ///< hypervisor: of the exit
    sim::Time begin = 0, end = 0;
};

/// From a VM exit to the entry after it.
struct ExitSpan {
    sim::Subject subject;
    std::uint64_t reason = 0, qualification = 0, rip = 0, guest_physical = 0;
    sim::Time begin = 0;
    sim::Time end = sim::kNever;  ///< of the entry
    /// What the hypervisor worked on it, waiting for other virtual processors left out.
    sim::Duration cost = 0;
    /// kHypercall, kMsrIntercept or kIoIntercept: `number` is the call's code, the register or the
    /// port, the first there was; kVmExit: none of them.
    sim::EventKind intercept = sim::EventKind::kVmExit;
    std::uint64_t number = 0;
    /// An HvCallSignalEvent that told another partition of work: the number by which requests and
    /// interrupts name it; 0: none.
    std::uint64_t signal = 0;
};

/// One command of a disk controller, as it went.
struct DiskCommand {
    std::uint64_t command_id = 0, opcode = 0, lba = 0, blocks = 0, status = 0;
    std::uint64_t number = 0;        ///< counts the trace's commands from 1
    std::uint64_t bytes = 0;         ///< of data, moved by DMA
    std::uint64_t request = 0;       ///< ChannelRequest::number of what it is for; 0: none seen
    std::uint64_t signal = 0;        ///< ChannelRequest::signal of that
    sim::Time issued = sim::kNever;  ///< the root's driver made it
    sim::Time taken = sim::kNever;
    sim::Time transfer = sim::kNever;   ///< its DMA began
    sim::Time completed = sim::kNever;  ///< its completion entry was written
    sim::Time interrupt = sim::kNever;  ///< the controller's next message arrived
};

/// A packet that a guest sent on a VMBus channel and its way to the answer. The stages are in the
/// order in which they come; a request that needs no disk leaves out those of the disk.
struct ChannelRequest {
    std::uint16_t partition = sim::kNoUnit;
    std::uint64_t relid = 0, transaction = 0;
    std::uint64_t number = 0;           ///< counts the trace's requests from 1
    std::uint64_t packet_bytes = 0;     ///< of the guest's packet
    std::uint64_t signal = 0;           ///< ExitSpan::signal of the guest's signal; 0: none seen
    sim::Time signalled = sim::kNever;  ///< exit of the hypercall that told the root of packets
    sim::Time noticed = sim::kNever;    ///< the root's VMBus looked at the channel for it
    sim::Time taken = 0;                ///< the packet was taken from the ring
    bool scsi = false;                  ///< the six below are set
    std::uint64_t operation = 0, lba = 0, bytes = 0;
    std::uint64_t srb_status = 0, scsi_status = 0, transferred = 0;
    sim::Time provider_begin = sim::kNever, provider_end = sim::kNever;
    /// Of the disk commands for it: the controller took the first; DMA, completion and interrupt
    /// are those of the one that completed last.
    std::uint64_t commands = 0;
    sim::Time disk_taken = sim::kNever, disk_transfer = sim::kNever;
    sim::Time disk_completed = sim::kNever, disk_interrupt = sim::kNever;
    sim::Time answered = sim::kNever;  ///< the answer was put into the ring
    std::uint64_t answer_bytes = 0;    ///< of the answer's packet
    std::uint64_t answer_signal = 0;   ///< ExitSpan::signal of the root's; 0: it sent none
    sim::Time answer_signalled = sim::kNever;
    sim::Time interrupted = sim::kNever;  ///< the guest accepted the interrupt of that signal

    sim::Time begin() const noexcept { return signalled < taken ? signalled : taken; }
    /// The last stage that the trace has.
    sim::Time end() const noexcept {
        if (interrupted != sim::kNever) return interrupted;
        if (answered != sim::kNever) return answered;
        return provider_end != sim::kNever ? provider_end : taken;
    }
    bool complete() const noexcept { return answered != sim::kNever; }
};

/// How many requests of a channel, or commands of the disk controller (no partition), are open.
struct QueueDepth {
    std::uint16_t partition = sim::kNoUnit;
    std::uint64_t relid = 0;
    sim::Time time = 0;
    std::size_t open = 0;
};

/// A line that a guest wrote to a serial port, without its end and without escape sequences.
struct ConsoleLine {
    sim::Subject subject;
    sim::Time begin = 0, end = 0;  ///< first and last byte
    std::string text;
};

/// Receives spans when they are over, and before that every event; so spans that began earlier may
/// come later. Those of one processor come in order.
class TimelineListener {
  public:
    virtual ~TimelineListener() = default;
    virtual void on_event(const sim::Event&) {}
    virtual void on_processor(const ProcessorSpan&) {}
    virtual void on_exit(const ExitSpan&) {}
    virtual void on_command(const DiskCommand&) {}
    virtual void on_request(const ChannelRequest&) {}
    virtual void on_depth(const QueueDepth&) {}
    virtual void on_console_line(const ConsoleLine&) {}
};

}  // namespace hvsim::analysis
