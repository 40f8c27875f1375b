#pragma once
// What things cost in virtual time: one table of names. The profiles under scenarios/profiles,
// their reader and the documentation come from it. Every room charges costs by these names, so that
// a profile can be told apart from the models.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sim/time.h"

namespace hvsim::sim {

enum class TimingKind : std::uint8_t {
    frequency,  ///< hertz; a profile writes unit "Hz"
    per_byte,   ///< picoseconds a code byte; a profile writes unit "millicycles"
    cost,       ///< picoseconds; a profile writes unit "cycles" (of the core) or "ns"
};

// field (= section_key), section, key, kind, default, description. The defaults are for unit tests:
// clocks that run, costs of nothing. A profile gives every entry.
#define HVSIM_TIMINGS(X)                                                                          \
    X(clock_core_hz, "clock", "core_hz", frequency, 2'500'000'000,                                \
      "Core clock; costs in cycles are cycles of this clock")                                     \
    X(clock_tsc_hz, "clock", "tsc_hz", frequency, 2'500'000'000, "Time-stamp counter")            \
    X(clock_apic_timer_hz, "clock", "apic_timer_hz", frequency, 25'000'000,                       \
      "Local APIC timer's input before its divider (bus or core crystal clock)")                  \
    X(clock_ps_per_code_byte, "clock", "code_byte", per_byte, 100,                                \
      "Guest execution: time for each byte of executed code")                                     \
    X(exit_cpuid, "exit", "cpuid", cost, 0, "VM exit by CPUID")                                   \
    X(exit_msr, "exit", "msr", cost, 0, "VM exit by RDMSR or WRMSR")                              \
    X(exit_io, "exit", "io", cost, 0, "VM exit by IN or OUT")                                     \
    X(exit_hypercall, "exit", "hypercall", cost, 0, "VM exit by VMCALL or VMMCALL")               \
    X(exit_nested_page_fault, "exit", "nested_page_fault", cost, 0,                               \
      "VM exit by an EPT violation or nested page fault")                                         \
    X(exit_external_interrupt, "exit", "external_interrupt", cost, 0,                             \
      "VM exit by an external interrupt")                                                         \
    X(exit_interrupt_window, "exit", "interrupt_window", cost, 0,                                 \
      "VM exit by an interrupt window or virtual interrupt")                                      \
    X(exit_hlt, "exit", "hlt", cost, 0, "VM exit by HLT")                                         \
    X(exit_apic_access, "exit", "apic_access", cost, 0, "VM exit by an access to the APIC page")  \
    X(exit_exception, "exit", "exception", cost, 0, "VM exit by an exception or NMI")             \
    X(exit_other, "exit", "other", cost, 0, "Any other VM exit")                                  \
    X(entry_base, "entry", "base", cost, 0, "VM entry, whatever the exit before it")              \
    X(entry_event_injection, "entry", "event_injection", cost, 0,                                 \
      "What a VM entry costs more when it injects an event")                                      \
    X(memory_tlb_miss, "memory", "tlb_miss", cost, 0, "A TLB miss before its first walk step")    \
    X(memory_walk_step, "memory", "walk_step", cost, 0,                                           \
      "One page-table entry read by a page walk (guest or nested)")                               \
    X(memory_dma_page, "memory", "dma_page", cost, 0, "DMA of up to 4 KiB within one page")       \
    X(memory_iotlb_miss, "memory", "iotlb_miss", cost, 0,                                         \
      "An IOTLB miss before its first walk step")                                                 \
    X(memory_io_walk_step, "memory", "io_walk_step", cost, 0,                                     \
      "One entry of an IOMMU structure read by a walk")                                           \
    X(memory_iommu_invalidate, "memory", "iommu_invalidate", cost, 0,                             \
      "One descriptor or command of the IOMMU's invalidation queue")                              \
    X(instruction_pause, "instruction", "pause", cost, 0,                                         \
      "Guest execution: what PAUSE costs more than its code bytes")                               \
    X(instruction_cpuid, "instruction", "cpuid", cost, 0,                                         \
      "CPUID that does not exit, beside its code bytes")                                          \
    X(instruction_msr, "instruction", "msr", cost, 0,                                             \
      "RDMSR or WRMSR that the processor performs itself, beside its code bytes")                 \
    X(interrupt_delivery, "interrupt", "delivery", cost, 0,                                       \
      "Delivery of an interrupt or exception through the IDT")                                    \
    X(interrupt_ipi, "interrupt", "ipi", cost, 0, "From an ICR write to the target's local APIC") \
    X(interrupt_msi, "interrupt", "msi", cost, 0, "From a device's MSI to the local APIC")        \
    X(interrupt_remap, "interrupt", "remap", cost, 0,                                             \
      "Interrupt remapping table lookup of one interrupt request")                                \
    X(hypervisor_cpuid, "hypervisor", "cpuid", cost, 0, "Hypervisor's handler of CPUID")          \
    X(hypervisor_msr, "hypervisor", "msr", cost, 0, "Hypervisor's handler of an MSR access")      \
    X(hypervisor_io, "hypervisor", "io", cost, 0, "Hypervisor's handler of a port access")        \
    X(hypervisor_apic, "hypervisor", "apic", cost, 0,                                             \
      "Hypervisor's emulation of one local APIC register access")                                 \
    X(hypervisor_memory_intercept, "hypervisor", "memory_intercept", cost, 0,                     \
      "Hypervisor's handler of an EPT violation or nested page fault")                            \
    X(hypervisor_interrupt, "hypervisor", "interrupt", cost, 0,                                   \
      "Hypervisor's own interrupt handler, routing included")                                     \
    X(hypervisor_event_injection, "hypervisor", "event_injection", cost, 0,                       \
      "Choosing and injecting a virtual interrupt")                                               \
    X(hypervisor_hypercall_base, "hypervisor", "hypercall_base", cost, 0,                         \
      "Decoding and answering a hypercall")                                                       \
    X(hypervisor_hypercall_rep, "hypervisor", "hypercall_rep", cost, 0,                           \
      "One repetition of a rep hypercall")                                                        \
    X(hypervisor_synic_message, "hypervisor", "synic_message", cost, 0,                           \
      "Writing a SynIC message into its slot")                                                    \
    X(hypervisor_synic_event, "hypervisor", "synic_event", cost, 0, "Setting a SynIC event flag") \
    X(hypervisor_timer, "hypervisor", "timer", cost, 0, "Arming or expiring a synthetic timer")   \
    X(hypervisor_context_switch, "hypervisor", "context_switch", cost, 0,                         \
      "Switching a logical processor from one virtual processor to another")                      \
    X(hypervisor_tlb_flush, "hypervisor", "tlb_flush", cost, 0,                                   \
      "Flushing one virtual processor's TLB by hypercall")                                        \
    X(root_interrupt, "root", "interrupt", cost, 0,                                               \
      "Root partition: interrupt service routine and its deferred call")                          \
    X(root_intercept, "root", "intercept", cost, 0,                                               \
      "Root partition: worker process handles an intercept message")                              \
    X(root_message, "root", "message", cost, 0, "Root partition: one VMBus message")              \
    X(root_packet, "root", "packet", cost, 0, "Root partition: one packet taken from a ring")     \
    X(root_request, "root", "request", cost, 0,                                                   \
      "Root partition: one storage request through its stack to the device")                      \
    X(root_completion, "root", "completion", cost, 0,                                             \
      "Root partition: one completed request back into the ring")                                 \
    X(root_page, "root", "page", cost, 0, "Root partition: one 4 KiB page of a request")          \
    X(root_disk_command, "root", "disk_command", cost, 0,                                         \
      "Root partition: one command built for the disk controller")                                \
    X(root_disk_completion, "root", "disk_completion", cost, 0,                                   \
      "Root partition: one completion entry of the disk controller taken")                        \
    X(device_mmio, "device", "mmio", cost, 0, "One access to a device register in memory space")  \
    X(device_io, "device", "io", cost, 0, "One access to a device register in I/O space")         \
    X(device_disk_read, "device", "disk_read", cost, 0, "Disk: latency of a read")                \
    X(device_disk_write, "device", "disk_write", cost, 0, "Disk: latency of a write")             \
    X(device_disk_flush, "device", "disk_flush", cost, 0, "Disk: latency of a flush")             \
    X(device_disk_page, "device", "disk_page", cost, 0, "Disk: transfer of 4 KiB")

/// What things cost. Costs are picoseconds, frequencies hertz. `clock_ps_per_code_byte` is rounded
/// to a whole picosecond (an error of at most 0.5 ps a byte), so that time stays an integer sum.
struct TimingProfile {
#define HVSIM_TIMING_FIELD(field, section, key, kind, value, text) std::uint64_t field = value;
    HVSIM_TIMINGS(HVSIM_TIMING_FIELD)
#undef HVSIM_TIMING_FIELD

    bool operator==(const TimingProfile&) const = default;
};

/// One row of the timing table.
struct TimingDescription {
    std::string_view section;
    std::string_view key;
    TimingKind kind;
    std::uint64_t TimingProfile::*field;
    std::string_view text;
};

inline constexpr std::array kTimingTable{
#define HVSIM_TIMING_ROW(field, section, key, kind, value, text) \
    TimingDescription{section, key, TimingKind::kind, &TimingProfile::field, text},
    HVSIM_TIMINGS(HVSIM_TIMING_ROW)
#undef HVSIM_TIMING_ROW
};
static_assert(kTimingTable.size() * sizeof(std::uint64_t) == sizeof(TimingProfile));

}  // namespace hvsim::sim
