#pragma once
// HV_PARTITION_PRIVILEGE_MASK: CPUID 0x40000003 EAX (bits 0-31) and EBX (bits 32-63) (TLFS 4.2.2).
#include <cstdint>

namespace hvsim::hv {

enum class Privilege : std::uint8_t {
    access_vp_runtime = 0,
    access_reference_counter = 1,
    access_synic = 2,
    access_synthetic_timers = 3,
    access_interrupt_control = 4,
    access_hypercall_msrs = 5,
    access_vp_index = 6,
    access_reset = 7,
    access_stats_register = 8,
    access_reference_tsc = 9,
    access_guest_idle = 10,
    access_frequencies = 11,
    access_debug = 12,
    access_reenlightenment = 13,
    access_root_scheduler = 14,
    access_tsc_invariant = 15,
    create_partitions = 32,
    access_partition_id = 33,
    access_memory_pool = 34,
    adjust_message_buffers = 35,
    post_messages = 36,
    signal_events = 37,
    create_port = 38,
    connect_port = 39,
    access_stats = 40,
    debugging = 43,
    cpu_management = 44,
    configure_profiler = 45,
    access_vp_exit_tracing = 46,
    extended_gva_ranges = 47,
    access_vsm = 48,
    access_vp_registers = 49,
    fast_hypercall_output = 51,
    extended_hypercalls = 52,
    start_virtual_processor = 53,
    isolation = 54,
    none = 255,  ///< needs no privilege
};

using PrivilegeMask = std::uint64_t;

constexpr PrivilegeMask mask_of(Privilege privilege) {
    return privilege == Privilege::none ? 0 : PrivilegeMask{1} << static_cast<unsigned>(privilege);
}
template <typename... P>
constexpr PrivilegeMask mask_of(Privilege first, P... rest) {
    return mask_of(first) | (mask_of(rest) | ...);
}
constexpr bool has(PrivilegeMask mask, Privilege privilege) {
    return (mask & mask_of(privilege)) == mask_of(privilege);
}

/// What a guest that runs VMBus drivers needs: bits 1-6, 9, 11, 15 of EAX, PostMessages and
/// SignalEvents. AccessPartitionId and CpuManagement must stay clear for a guest: Linux takes them
/// for the mark of a root partition.
inline constexpr PrivilegeMask kGuestPrivileges = mask_of(
    Privilege::access_vp_runtime, Privilege::access_reference_counter, Privilege::access_synic,
    Privilege::access_synthetic_timers, Privilege::access_interrupt_control,
    Privilege::access_hypercall_msrs, Privilege::access_vp_index, Privilege::access_reset,
    Privilege::access_reference_tsc, Privilege::access_guest_idle, Privilege::access_frequencies,
    Privilege::access_reenlightenment, Privilege::access_tsc_invariant, Privilege::post_messages,
    Privilege::signal_events);

/// The root partition's.
inline constexpr PrivilegeMask kRootPrivileges =
    kGuestPrivileges |
    mask_of(Privilege::access_stats_register, Privilege::access_debug, Privilege::create_partitions,
            Privilege::access_partition_id, Privilege::access_memory_pool,
            Privilege::adjust_message_buffers, Privilege::create_port, Privilege::connect_port,
            Privilege::access_stats, Privilege::cpu_management, Privilege::access_vp_registers,
            Privilege::start_virtual_processor);

static_assert(mask_of(Privilege::cpu_management) == std::uint64_t{1} << (32 + 12));

}  // namespace hvsim::hv
