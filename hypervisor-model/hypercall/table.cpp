#include "hypervisor-model/hypercall/table.h"

#include <algorithm>
#include <array>

#include "hypervisor-model/hypercall/handlers.h"

namespace hvsim::hv {
namespace {

using P = Privilege;
namespace h = handlers;

// Calls without a privilege of their own name their target, and their handlers ask whether the
// caller is its parent.
constexpr std::array kTable{
    hypercall<h::flush_space>(0x0002, "HvCallFlushVirtualAddressSpace"),
    hypercall<h::flush_list>(0x0003, "HvCallFlushVirtualAddressList"),
    hypercall<h::get_lp_run_time>(0x0004, "HvCallGetLogicalProcessorRunTime", P::cpu_management),
    hypercall<h::notify_long_spin_wait>(0x0008, "HvCallNotifyLongSpinWait"),
    hypercall<h::send_ipi>(0x000b, "HvCallSendSyntheticClusterIpi"),
    hypercall<h::flush_space_ex>(0x0013, "HvCallFlushVirtualAddressSpaceEx"),
    hypercall<h::flush_list_ex>(0x0014, "HvCallFlushVirtualAddressListEx"),
    hypercall<h::send_ipi_ex>(0x0015, "HvCallSendSyntheticClusterIpiEx"),
    hypercall<h::create_partition>(0x0040, "HvCallCreatePartition", P::create_partitions),
    hypercall<h::initialize_partition>(0x0041, "HvCallInitializePartition"),
    hypercall<h::finalize_partition>(0x0042, "HvCallFinalizePartition"),
    hypercall<h::delete_partition>(0x0043, "HvCallDeletePartition"),
    hypercall<h::get_partition_property>(0x0044, "HvCallGetPartitionProperty"),
    hypercall<h::set_partition_property>(0x0045, "HvCallSetPartitionProperty"),
    hypercall<h::get_partition_id>(0x0046, "HvCallGetPartitionId", P::access_partition_id),
    hypercall<h::get_next_child_partition>(0x0047, "HvCallGetNextChildPartition"),
    hypercall<h::deposit_memory>(0x0048, "HvCallDepositMemory", P::access_memory_pool),
    hypercall<h::withdraw_memory>(0x0049, "HvCallWithdrawMemory", P::access_memory_pool),
    hypercall<h::get_memory_balance>(0x004a, "HvCallGetMemoryBalance", P::access_memory_pool),
    hypercall<h::map_gpa_pages>(0x004b, "HvCallMapGpaPages"),
    hypercall<h::unmap_gpa_pages>(0x004c, "HvCallUnmapGpaPages"),
    hypercall<h::install_intercept>(0x004d, "HvCallInstallIntercept"),
    hypercall<h::create_vp>(0x004e, "HvCallCreateVp"),
    hypercall<h::delete_vp>(0x004f, "HvCallDeleteVp"),
    hypercall<h::get_vp_registers>(0x0050, "HvCallGetVpRegisters"),
    hypercall<h::set_vp_registers>(0x0051, "HvCallSetVpRegisters"),
    hypercall<h::translate_virtual_address>(0x0052, "HvCallTranslateVirtualAddress"),
    hypercall<h::read_gpa>(0x0053, "HvCallReadGpa"),
    hypercall<h::write_gpa>(0x0054, "HvCallWriteGpa"),
    hypercall<h::clear_virtual_interrupt>(0x0056, "HvCallClearVirtualInterrupt"),
    hypercall<h::delete_port>(0x0058, "HvCallDeletePort", P::create_port),
    hypercall<h::get_port_property>(0x005a, "HvCallGetPortProperty", P::create_port),
    hypercall<h::disconnect_port>(0x005b, "HvCallDisconnectPort", P::connect_port),
    hypercall<h::post_message>(0x005c, "HvCallPostMessage", P::post_messages),
    hypercall<h::signal_event>(0x005d, "HvCallSignalEvent", P::signal_events),
    hypercall<h::retarget_device_interrupt>(0x007e, "HvCallRetargetDeviceInterrupt"),
    hypercall<h::notify_port_ring_empty>(0x008b, "HvCallNotifyPortRingEmpty"),
    hypercall<h::register_intercept_result>(0x0091, "HvCallRegisterInterceptResult"),
    hypercall<h::assert_virtual_interrupt>(0x0094, "HvCallAssertVirtualInterrupt"),
    hypercall<h::create_port>(0x0095, "HvCallCreatePort", P::create_port),
    hypercall<h::connect_port>(0x0096, "HvCallConnectPort", P::connect_port),
    hypercall<h::start_virtual_processor>(0x0099, "HvCallStartVirtualProcessor"),
    hypercall<h::get_vp_index_from_apic_id>(0x009a, "HvCallGetVpIndexFromApicId"),
    hypercall<h::flush_guest_physical_space>(0x00af, "HvCallFlushGuestPhysicalAddressSpace"),
    hypercall<h::flush_guest_physical_list>(0x00b0, "HvCallFlushGuestPhysicalAddressList"),
    hypercall<h::signal_event_direct>(0x00c0, "HvCallSignalEventDirect"),
    hypercall<h::post_message_direct>(0x00c1, "HvCallPostMessageDirect"),
    hypercall<h::ext_query_capabilities>(0x8001, "HvExtCallQueryCapabilities",
                                         P::extended_hypercalls),
    hypercall<h::ext_memory_heat_hint>(0x8003, "HvExtCallMemoryHeatHint", P::extended_hypercalls),
};

constexpr bool ascending() {
    for (std::size_t i = 1; i < kTable.size(); ++i)
        if (kTable[i].code <= kTable[i - 1].code) return false;
    return true;
}
static_assert(ascending());
static_assert(kTable.size() <= std::tuple_size_v<decltype(Partition::Counters::hypercalls)>);

}  // namespace

std::span<const HypercallRow> hypercall_table() {
    return kTable;
}

const HypercallRow* find_hypercall(std::uint16_t code) {
    const auto found =
        std::lower_bound(kTable.begin(), kTable.end(), code,
                         [](const HypercallRow& row, std::uint16_t c) { return row.code < c; });
    return found != kTable.end() && found->code == code ? &*found : nullptr;
}

}  // namespace hvsim::hv
