// Register state of a virtual processor after RESET, INIT and SIPI, and where a partition starts
// it.
#include <array>
#include <cstring>

#include "hypervisor-model/hypervisor.h"
#include "hypervisor-model/spec/x86_msr.h"
#include "hypervisor-model/virtual_processor.h"

namespace hvsim::hv {
namespace {

using cpu::engine::kRdx;

constexpr std::uint64_t kCr0AfterReset = 0x6000'0010;  // CD, NW, ET
constexpr std::uint64_t kCr0CacheBits = 0x6000'0000;
constexpr std::uint64_t kDr6AfterReset = 0xffff'0ff0;
constexpr std::uint64_t kDr7AfterReset = 0x400;

constexpr Segment kCodeAfterReset{0xf000, 0xffff, 0xffff'0000, 0x9b};
constexpr Segment kDataAfterReset{0, 0xffff, 0, 0x93};

/// FXSAVE image of a processor after RESET (SDM 3A table 9-1): FCW 0x40, all tags valid, MXCSR
/// 0x1f80.
std::array<std::uint8_t, 512> fpu_after_reset() {
    std::array<std::uint8_t, 512> image{};
    image[0] = 0x40;
    image[4] = 0xff;
    image[24] = 0x80;
    image[25] = 0x1f;
    return image;
}

}  // namespace

// SDM 3A table 9-1.
void VirtualProcessor::power_up_registers(bool init) {
    VpContext& c = context();
    for (unsigned i = 0; i < cpu::engine::kGprCount; ++i) c.set_gpr(i, 0);
    c.set_gpr(kRdx, cpuid(1, 0).eax);
    c.set_rip(0xfff0);
    c.set_rflags(2);
    const std::uint64_t cache = init ? c.cr(0) & kCr0CacheBits : kCr0CacheBits;
    c.set_cr(0, (kCr0AfterReset & ~kCr0CacheBits) | cache);
    c.set_efer(0);
    for (const unsigned index : {2u, 3u, 4u}) c.set_cr(index, 0);
    for (const unsigned index : {0u, 1u, 2u, 3u}) c.set_dr(index, 0);
    c.set_dr(6, kDr6AfterReset);
    c.set_dr(7, kDr7AfterReset);
    for (const SegmentName name :
         {SegmentName::es, SegmentName::ss, SegmentName::ds, SegmentName::fs, SegmentName::gs})
        c.set_segment(name, kDataAfterReset);
    c.set_segment(SegmentName::cs, kCodeAfterReset);
    c.set_segment(SegmentName::ldtr, {0, 0xffff, 0, 0x82});
    c.set_segment(SegmentName::tr, {0, 0xffff, 0, 0x8b});
    c.set_gdtr({0, 0xffff});
    c.set_idtr({0, 0xffff});
    c.set_interrupt_shadow(false);
    c.set_halted(false);
    idle_ = false;
    if (init) return;
    c.set_xcr0(1);
    c.fxrstor(fpu_after_reset());
    c.write_msr(x86_msr::kPat, x86_msr::kPatAfterReset);
    for (const std::uint32_t index :
         {x86_msr::kSysenterCs, x86_msr::kSysenterEsp, x86_msr::kSysenterEip, x86_msr::kStar,
          x86_msr::kLstar, x86_msr::kCstar, x86_msr::kSfmask, x86_msr::kKernelGsBase,
          x86_msr::kTscAux})
        c.write_msr(index, 0);
}

void VirtualProcessor::apply_init(sim::Time now) {
    if (!apic_.take_init()) return;
    power_up_registers(true);
    apic_.init_reset();
    if (eoi_offered_) set_assist_bits(assist_bits() & ~vp_assist::kNoEoiRequired);
    eoi_offered_ = false;
    context().flush_tlb();
    hypervisor_.services().waker.wake(*this, now);
}

void VirtualProcessor::apply_sipi(std::uint8_t vector) {
    VpContext& c = context();
    Segment code = kCodeAfterReset;
    code.selector = static_cast<std::uint16_t>(vector << 8);
    code.base = std::uint64_t{vector} << 12;
    c.set_segment(SegmentName::cs, code);
    c.set_rip(0);
    c.set_halted(false);
    apic_.set_wait_for_sipi(false);
}

void VirtualProcessor::apply_reset(sim::Time now) {
    remove_overlays();
    synic_.reset();
    for (SyntheticTimer& timer : timers_) timer.reset();
    timer_deadlines_.fill(sim::kNever);
    msrs_ = VpMsrState{};
    tsc_adjust_ = 0;
    apic_.reset();
    apic_.set_tsc_offset(tsc_offset(), now);
    // A root partition's processors are started by the hypervisor, not by each other.
    apic_.set_wait_for_sipi(index_ != 0 && !partition_.is_root());
    power_up_registers(false);
    intercept_suspend_ = false;
    context().flush_tlb();
    hypervisor_.services().waker.wake(*this, now);
}

void VirtualProcessor::apply_initial_context(const hc::InitialContext& initial) {
    VpContext& c = context();
    c.set_rip(initial.rip);
    c.set_gpr(cpu::engine::kRsp, initial.rsp);
    c.set_rflags(initial.rflags | 2);
    c.set_efer(initial.efer);
    c.set_cr(4, initial.cr4);
    c.set_cr(3, initial.cr3);
    c.set_cr(0, initial.cr0);
    c.set_segment(SegmentName::cs, initial.cs.to_segment());
    c.set_segment(SegmentName::ds, initial.ds.to_segment());
    c.set_segment(SegmentName::es, initial.es.to_segment());
    c.set_segment(SegmentName::fs, initial.fs.to_segment());
    c.set_segment(SegmentName::gs, initial.gs.to_segment());
    c.set_segment(SegmentName::ss, initial.ss.to_segment());
    c.set_segment(SegmentName::tr, initial.tr.to_segment());
    c.set_segment(SegmentName::ldtr, initial.ldtr.to_segment());
    c.set_idtr({initial.idtr.base, initial.idtr.limit});
    c.set_gdtr({initial.gdtr.base, initial.gdtr.limit});
    c.write_msr(x86_msr::kPat, initial.pat);
    c.set_halted(false);
    idle_ = false;
    apic_.set_wait_for_sipi(false);
    c.flush_tlb();
}

}  // namespace hvsim::hv
