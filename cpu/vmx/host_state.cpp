#include "cpu/vmx/host_state.h"

#include "cpu/descriptor.h"
#include "cpu/msr_file.h"

namespace hvsim::cpu::vmx {
namespace {

constexpr std::uint64_t kDr7AfterExit = 0x400;
constexpr std::uint32_t kData = 0xc093;  // writable, accessed, DPL 0, present, B, G
constexpr std::uint32_t kCode64 = 0xa09b, kCode32 = 0xc09b;
constexpr std::uint32_t kBusyTss = 0x8b, kTssLimit = 0x67;
constexpr auto kUnusable = static_cast<std::uint32_t>(ar::UNUSABLE::kMask);

Abort load_control_registers(const Region& vmcs, Core& core, bool host64, std::uint64_t guest_cr0,
                             std::uint64_t guest_efer) {
    using F = Field;
    const auto load = [&core](unsigned index, std::uint64_t value) {
        if (core.cr(index) != value) core.set_cr(index, value);
    };
    const std::uint64_t controls = vmcs.read(F::EXIT_CONTROLS);
    std::uint64_t efer = controls & exit_control::kLoadEfer ? vmcs.read(F::HOST_EFER) : guest_efer;
    efer &= ~(efer::kLMA | efer::kLME);
    if (host64) efer |= efer::kLMA | efer::kLME;
    if (core.efer() != efer) core.set_efer(efer);
    std::uint64_t cr4 = vmcs.read(F::HOST_CR4);
    if (host64)
        cr4 |= cr4::kPAE;
    else
        cr4 &= ~cr4::kPCIDE;
    load(4, cr4);
    load(3, vmcs.read(F::HOST_CR3));
    load(0, (guest_cr0 & kCr0Kept) | (vmcs.read(F::HOST_CR0) & ~kCr0Kept));
    if (!host64 && (cr4 & cr4::kPAE) && !core.load_pdptes_of(vmcs.read(F::HOST_CR3)))
        return Abort::host_pdptes;  // SDM 3C 28.5.4
    core.set_dr(7, kDr7AfterExit);
    core.set_debugctl(0);
    if (controls & exit_control::kLoadPat) core.set_pat(vmcs.read(F::HOST_PAT));
    core.set_native_msr(msr::kSysenterCs, vmcs.read(F::HOST_SYSENTER_CS));
    core.set_native_msr(msr::kSysenterEsp, vmcs.read(F::HOST_SYSENTER_ESP));
    core.set_native_msr(msr::kSysenterEip, vmcs.read(F::HOST_SYSENTER_EIP));
    return Abort::none;
}

void load_segments(const Region& vmcs, Core& core, bool host64) {  // SDM 3C 28.5.2
    using F = Field;
    const auto selector = [&](F field) { return static_cast<std::uint16_t>(vmcs.read(field)); };
    const auto data = [&](SegmentName name, F field, std::uint64_t base) {
        const std::uint16_t value = selector(field);
        core.set_segment(name, {value, 0xffffffff, base, value == 0 ? kData | kUnusable : kData});
    };
    core.set_segment(SegmentName::cs,
                     {selector(F::HOST_CS_SELECTOR), 0xffffffff, 0, host64 ? kCode64 : kCode32});
    data(SegmentName::ss, F::HOST_SS_SELECTOR, 0);
    data(SegmentName::ds, F::HOST_DS_SELECTOR, 0);
    data(SegmentName::es, F::HOST_ES_SELECTOR, 0);
    data(SegmentName::fs, F::HOST_FS_SELECTOR, vmcs.read(F::HOST_FS_BASE));
    data(SegmentName::gs, F::HOST_GS_SELECTOR, vmcs.read(F::HOST_GS_BASE));
    core.set_segment(SegmentName::tr, {selector(F::HOST_TR_SELECTOR), kTssLimit,
                                       vmcs.read(F::HOST_TR_BASE), kBusyTss});
    core.set_segment(SegmentName::ldtr, {0, 0, 0, kUnusable});
    core.set_gdtr({vmcs.read(F::HOST_GDTR_BASE), 0xffff});
    core.set_idtr({vmcs.read(F::HOST_IDTR_BASE), 0xffff});
}

}  // namespace

Abort load_host_state(const Region& vmcs, Core& core, std::uint64_t guest_cr0,
                      std::uint64_t guest_efer) {
    const bool host64 = (vmcs.read(Field::EXIT_CONTROLS) & exit_control::kHostAddressSpace64) != 0;
    core.set_rflags(rflags::kReserved1);  // before the modes: leaves virtual-8086 mode
    const Abort abort = load_control_registers(vmcs, core, host64, guest_cr0, guest_efer);
    if (abort != Abort::none) return abort;
    load_segments(vmcs, core, host64);
    core.set_rip(vmcs.read(Field::HOST_RIP));
    core.set_gpr(engine::kRsp, vmcs.read(Field::HOST_RSP));
    core.set_interrupt_shadow(false);
    core.set_activity(ActivityState::active);
    return Abort::none;
}

}  // namespace hvsim::cpu::vmx
