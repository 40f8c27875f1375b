// Virtual processors and their registers (TLFS 7, 18).
#include "hypervisor-model/hypercall/handlers.h"

namespace hvsim::hv::handlers {
namespace {

Self self_with_registers(const Call& call) {
    return call.partition.has_privilege(Privilege::access_vp_registers) ? Self::yes : Self::no;
}

HvStatus register_target(Call& call, const hc::VpRegisters& in, VirtualProcessor*& vp) {
    constexpr std::uint8_t kVtl = 0x0f, kDefined = 0x1f;
    const HvStatus status = target_vp(call, in.partition, self_with_registers(call), in.vp, vp);
    if (status != HvStatus::success) return status;
    // There is one VTL: 0.
    return (in.input_vtl & kVtl) != 0 || (in.input_vtl & ~kDefined) != 0
               ? HvStatus::invalid_parameter
               : HvStatus::success;
}

bool valid_context(const hc::InitialContext& context) {
    constexpr u64 kPe = 1, kPg = u64{1} << 31, kLme = 1u << 8, kLma = 1u << 10;
    constexpr u64 kEferDefined = 1u | kLme | kLma | 1u << 11 | 1u << 12 | 1u << 14;
    if (context.cr0 >> 32 != 0 || context.cr4 >> 32 != 0) return false;
    if ((context.cr0 & kPg) != 0 && (context.cr0 & kPe) == 0) return false;
    if ((context.efer & ~kEferDefined) != 0) return false;
    const bool active = (context.efer & kLma) != 0;
    return active == ((context.efer & kLme) != 0 && (context.cr0 & kPg) != 0);
}

}  // namespace

HvStatus create_vp(Call& call, const hc::CreateVp& in) {
    Partition* target = nullptr;
    const HvStatus status = target_partition(call, in.partition, Self::no, target);
    if (status != HvStatus::success) return status;
    if (in.flags != 0) return HvStatus::invalid_parameter;
    return target->create_vp(in.vp, call.now);
}

HvStatus delete_vp(Call& call, const hc::VpOnly& in) {
    Partition* target = nullptr;
    const HvStatus status = target_partition(call, in.partition, Self::no, target);
    return status == HvStatus::success ? target->delete_vp(in.vp) : status;
}

CallResult get_vp_registers(Call& call, const hc::VpRegisters& in, RepRange,
                            std::span<const u32> names, std::span<RegisterValue> values) {
    VirtualProcessor* vp = nullptr;
    if (const HvStatus status = register_target(call, in, vp); status != HvStatus::success)
        return {status, 0};
    for (unsigned done = 0; done < names.size(); ++done)
        if (const HvStatus status = vp->get_register(names[done], values[done], call.now);
            status != HvStatus::success)
            return {status, done};
    return {HvStatus::success, static_cast<unsigned>(names.size())};
}

CallResult set_vp_registers(Call& call, const hc::VpRegisters& in, RepRange,
                            std::span<const hc::RegisterAssociation> registers) {
    VirtualProcessor* vp = nullptr;
    if (const HvStatus status = register_target(call, in, vp); status != HvStatus::success)
        return {status, 0};
    for (unsigned done = 0; done < registers.size(); ++done)
        if (const HvStatus status =
                vp->set_register(registers[done].name, registers[done].value, call.now);
            status != HvStatus::success)
            return {status, done};
    return {HvStatus::success, static_cast<unsigned>(registers.size())};
}

HvStatus start_virtual_processor(Call& call, const hc::StartVp& in) {
    const Self self =
        call.partition.has_privilege(Privilege::start_virtual_processor) ? Self::yes : Self::no;
    VirtualProcessor* vp = nullptr;
    if (const HvStatus status = target_vp(call, in.partition, self, in.vp, vp);
        status != HvStatus::success)
        return status;
    if (in.target_vtl != 0) return HvStatus::invalid_parameter;
    if (!valid_context(in.context)) return HvStatus::invalid_register_value;
    if (!vp->waits_for_sipi()) return HvStatus::invalid_vp_state;
    vp->apply_initial_context(in.context);
    call.hypervisor.services().waker.wake(*vp, call.now);
    return HvStatus::success;
}

CallResult get_vp_index_from_apic_id(Call& call, const hc::VpIndexFromApicId& in, RepRange,
                                     std::span<const u32> apic_ids, std::span<u32> indices) {
    Partition* target = nullptr;
    if (const HvStatus status = target_partition(call, in.partition, Self::yes, target);
        status != HvStatus::success)
        return {status, 0};
    if (in.target_vtl != 0) return {HvStatus::invalid_parameter, 0};
    for (unsigned done = 0; done < apic_ids.size(); ++done) {
        const VirtualProcessor* vp = target->vp_by_apic_id(apic_ids[done]);
        if (vp == nullptr) return {HvStatus::invalid_parameter, done};
        indices[done] = vp->index();
    }
    return {HvStatus::success, static_cast<unsigned>(apic_ids.size())};
}

HvStatus register_intercept_result(Call& call, const hc::RegisterInterceptResult& in) {
    VirtualProcessor* vp = nullptr;
    const HvStatus status = target_vp(call, in.partition, Self::no, in.vp, vp);
    if (status != HvStatus::success) return status;
    if (static_cast<InterceptType>(in.type) != InterceptType::cpuid)
        return HvStatus::invalid_parameter;
    return vp->register_cpuid_result(in);
}

}  // namespace hvsim::hv::handlers
