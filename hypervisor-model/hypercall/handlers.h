#pragma once
// All hypercall handlers (TLFS 18 by name; input and output in spec/hypercall_structs.h).
#include "hypervisor-model/hypercall/call.h"

namespace hvsim::hv::handlers {

using u32 = std::uint32_t;
using u64 = std::uint64_t;

// flush_calls.cpp
HvStatus flush_space(Call& call, const hc::FlushSpace& in);
CallResult flush_list(Call& call, const hc::FlushSpace& in, RepRange reps,
                      std::span<const u64> ranges);
HvStatus flush_space_ex(Call& call, const hc::FlushSpaceEx& in, Banks banks);
CallResult flush_list_ex(Call& call, const hc::FlushSpaceEx& in, Banks banks, RepRange reps,
                         std::span<const u64> ranges);
HvStatus flush_guest_physical_space(Call& call, const hc::FlushGuestPhysicalSpace& in);
CallResult flush_guest_physical_list(Call& call, const hc::FlushGuestPhysicalSpace& in,
                                     RepRange reps, std::span<const u64> ranges);

// interrupt_calls.cpp
HvStatus send_ipi(Call& call, const hc::SendIpi& in);
HvStatus send_ipi_ex(Call& call, const hc::SendIpiEx& in, Banks banks);
HvStatus notify_long_spin_wait(Call& call, const hc::LongSpinWait& in);
HvStatus retarget_device_interrupt(Call& call, const hc::RetargetInterrupt& in, Banks banks);
HvStatus assert_virtual_interrupt(Call& call, const hc::AssertInterrupt& in);
HvStatus clear_virtual_interrupt(Call& call, const hc::PartitionOnly& in);

// partition_calls.cpp
HvStatus create_partition(Call& call, const hc::CreatePartition& in, hc::PartitionOut& out);
HvStatus initialize_partition(Call& call, const hc::PartitionOnly& in);
HvStatus finalize_partition(Call& call, const hc::PartitionOnly& in);
HvStatus delete_partition(Call& call, const hc::PartitionOnly& in);
HvStatus get_partition_property(Call& call, const hc::GetProperty& in, hc::Value64& out);
HvStatus set_partition_property(Call& call, const hc::SetProperty& in);
HvStatus get_partition_id(Call& call, hc::PartitionOut& out);
HvStatus get_next_child_partition(Call& call, const hc::NextChild& in, hc::PartitionOut& out);
HvStatus install_intercept(Call& call, const hc::InstallIntercept& in);
HvStatus get_lp_run_time(Call& call, const hc::LpOnly& in, hc::LpRunTime& out);
HvStatus ext_query_capabilities(Call& call, hc::Value64& out);
CallResult ext_memory_heat_hint(Call& call, const hc::Value64& in, RepRange reps,
                                std::span<const u64> ranges);

// memory_calls.cpp
CallResult deposit_memory(Call& call, const hc::PartitionOnly& in, RepRange reps,
                          std::span<const u64> pages);
CallResult withdraw_memory(Call& call, const hc::ProximityQuery& in, RepRange reps,
                           std::span<u64> pages);
HvStatus get_memory_balance(Call& call, const hc::ProximityQuery& in, hc::MemoryBalance& out);
CallResult map_gpa_pages(Call& call, const hc::MapGpa& in, RepRange reps,
                         std::span<const u64> pages);
CallResult unmap_gpa_pages(Call& call, const hc::UnmapGpa& in, RepRange reps);
HvStatus read_gpa(Call& call, const hc::AccessGpa& in, hc::ReadGpaOut& out);
HvStatus write_gpa(Call& call, const hc::WriteGpa& in, hc::AccessGpaResult& out);
HvStatus translate_virtual_address(Call& call, const hc::TranslateAddress& in,
                                   hc::TranslateResult& out);

// vp_calls.cpp
HvStatus create_vp(Call& call, const hc::CreateVp& in);
HvStatus delete_vp(Call& call, const hc::VpOnly& in);
CallResult get_vp_registers(Call& call, const hc::VpRegisters& in, RepRange reps,
                            std::span<const u32> names, std::span<RegisterValue> values);
CallResult set_vp_registers(Call& call, const hc::VpRegisters& in, RepRange reps,
                            std::span<const hc::RegisterAssociation> registers);
HvStatus start_virtual_processor(Call& call, const hc::StartVp& in);
CallResult get_vp_index_from_apic_id(Call& call, const hc::VpIndexFromApicId& in, RepRange reps,
                                     std::span<const u32> apic_ids, std::span<u32> indices);
HvStatus register_intercept_result(Call& call, const hc::RegisterInterceptResult& in);

// port_calls.cpp
HvStatus create_port(Call& call, const hc::CreatePort& in);
HvStatus delete_port(Call& call, const hc::PortOnly& in);
HvStatus connect_port(Call& call, const hc::ConnectPort& in);
HvStatus disconnect_port(Call& call, const hc::PortOnly& in);
HvStatus get_port_property(Call& call, const hc::PortProperty& in, hc::Value64& out);
HvStatus post_message(Call& call, const hc::PostMessage& in);
HvStatus signal_event(Call& call, const hc::SignalEvent& in);
HvStatus notify_port_ring_empty(Call& call, const hc::PortRingEmpty& in);
HvStatus signal_event_direct(Call& call, const hc::SignalEventDirect& in,
                             hc::SignalEventDirectOut& out);
HvStatus post_message_direct(Call& call, const hc::PostMessageDirect& in);

}  // namespace hvsim::hv::handlers
