// Synthetic IPIs, interrupts from the parent, device interrupt routing (TLFS 10, 18).
#include "hypervisor-model/hypercall/handlers.h"

namespace hvsim::hv::handlers {
namespace {

constexpr u32 kFirstVector = 0x10, kLastVector = 0xff;

bool is_vector(u32 vector) {
    return vector >= kFirstVector && vector <= kLastVector;
}

apic::InterruptMessage fixed(u32 vector) {
    apic::InterruptMessage message;
    message.vector = static_cast<std::uint8_t>(vector);
    return message;
}

HvStatus deliver_ipi(Call& call, u32 vector, u64 mask,
                     const std::vector<VirtualProcessor*>& targets) {
    ++call.vp.counters().by_ipi;
    call.hypervisor.recorder().record(sim::EventKind::kIpi, call.now, call.vp.subject(), vector,
                                      static_cast<u64>(apic::DeliveryMode::fixed), mask);
    apic::InterruptMessage message = fixed(vector);
    message.cause = apic::InterruptCause::ipi;
    for (VirtualProcessor* vp : targets) vp->receive(message, call.now);
    return HvStatus::success;
}

}  // namespace

HvStatus send_ipi(Call& call, const hc::SendIpi& in) {
    if (!is_vector(in.vector) || in.target_vtl != 0 || in.flags != 0 || in.reserved != 0)
        return HvStatus::invalid_parameter;
    return deliver_ipi(call, in.vector, in.processor_mask, expand_vp_mask(call, in.processor_mask));
}

HvStatus send_ipi_ex(Call& call, const hc::SendIpiEx& in, Banks banks) {
    if (!is_vector(in.vector) || in.target_vtl != 0 || in.flags != 0 || in.reserved != 0)
        return HvStatus::invalid_parameter;
    std::vector<VirtualProcessor*> targets;
    const HvStatus status = expand_vp_set(call, in.set, banks, targets);
    if (status != HvStatus::success) return status;
    return deliver_ipi(call, in.vector, in.set.valid_bank_mask, targets);
}

HvStatus notify_long_spin_wait(Call& call, const hc::LongSpinWait&) {
    call.yield = true;
    return HvStatus::success;
}

// The device's remapping entry is changed by whoever owns the assigned device.
HvStatus retarget_device_interrupt(Call& call, const hc::RetargetInterrupt& in, Banks banks) {
    constexpr u32 kMsiSource = 1, kProcessorSet = 2, kDefinedFlags = 7;
    Partition* target = nullptr;
    if (const HvStatus status = target_partition(call, in.partition, Self::yes, target);
        status != HvStatus::success)
        return status;
    if (in.source != kMsiSource || (in.flags & ~kDefinedFlags) != 0 || !is_vector(in.vector))
        return HvStatus::invalid_parameter;
    std::vector<VirtualProcessor*> processors;
    if ((in.flags & kProcessorSet) == 0) {
        processors = expand_vp_mask(call, in.mask_or_format);
    } else {
        if (banks.empty()) return HvStatus::invalid_parameter;
        const HvStatus status =
            expand_vp_set(call, {in.mask_or_format, banks.front()}, banks.subspan(1), processors);
        if (status != HvStatus::success) return status;
    }
    DeviceInterrupts* devices = call.hypervisor.device_interrupts();
    if (devices == nullptr) return HvStatus::invalid_device_id;
    return devices->retarget(*target, in, processors);
}

HvStatus assert_virtual_interrupt(Call& call, const hc::AssertInterrupt& in) {
    Partition* target = nullptr;
    if (const HvStatus status = target_partition(call, in.partition, Self::no, target);
        status != HvStatus::success)
        return status;
    if (!target->active()) return HvStatus::invalid_partition_state;
    const auto type = static_cast<hc::InterruptType>(in.type);
    if (in.type > static_cast<u32>(hc::InterruptType::local_int1) ||
        type == hc::InterruptType::remote_read || in.destination >> 32 != 0 ||
        (in.flags & ~(hc::kAssertLevel | hc::kAssertLogical)) != 0 || in.target_vtl != 0)
        return HvStatus::invalid_parameter;
    const bool has_vector =
        type == hc::InterruptType::fixed || type == hc::InterruptType::lowest_priority;
    if (in.vector > kLastVector || (has_vector && !is_vector(in.vector)))
        return HvStatus::invalid_parameter;

    apic::InterruptMessage message = fixed(in.vector);
    message.destination = static_cast<u32>(in.destination);
    message.width =
        in.destination <= 0xff ? apic::DestinationWidth::xapic : apic::DestinationWidth::x2apic;
    message.destination_mode = (in.flags & hc::kAssertLogical) != 0
                                   ? apic::DestinationMode::logical
                                   : apic::DestinationMode::physical;
    message.trigger =
        (in.flags & hc::kAssertLevel) != 0 ? apic::TriggerMode::level : apic::TriggerMode::edge;
    if (type == hc::InterruptType::local_int0 || type == hc::InterruptType::local_int1) {
        const unsigned pin = type == hc::InterruptType::local_int0 ? 0 : 1;
        for (VirtualProcessor* vp : target->vps()) {
            if (!vp->apic().is_destination(message)) continue;
            vp->apic().set_lint(pin, true, call.now);
            vp->apic().set_lint(pin, false, call.now);
            call.hypervisor.services().waker.wake(*vp, call.now);
        }
        return HvStatus::success;
    }
    // The remaining types have the numbers of APIC delivery modes.
    message.delivery_mode = static_cast<apic::DeliveryMode>(in.type);
    target->assert_interrupt(message, call.now);
    return HvStatus::success;
}

HvStatus clear_virtual_interrupt(Call& call, const hc::PartitionOnly& in) {
    Partition* target = nullptr;
    const HvStatus status = target_partition(call, in.partition, Self::no, target);
    if (status != HvStatus::success) return status;
    for (VirtualProcessor* vp : target->vps()) vp->apic().take_ext_int();
    return HvStatus::success;
}

}  // namespace hvsim::hv::handlers
