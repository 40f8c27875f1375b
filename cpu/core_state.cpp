// Control registers, MSRs, reset: the state of a core that is not in its engine.
#include "cpu/core.h"

#include <algorithm>

#include "cpu/descriptor.h"
#include "cpu/linear_address.h"
#include "cpu/msr_file.h"

namespace hvsim::cpu {
namespace {

constexpr std::uint64_t kCr0Valid = cr0::kPE | cr0::kMP | cr0::kEM | cr0::kTS | cr0::kET |
                                    cr0::kNE | cr0::kWP | cr0::kAM | cr0::kNW | cr0::kCD | cr0::kPG;
constexpr std::uint64_t kCr3NoFlush = std::uint64_t{1} << 63;

/// Segment state after reset or SIPI (SDM 3A table 10-1).
Segment real_mode_segment(std::uint16_t selector, std::uint64_t base, std::uint32_t rights) {
    return {selector, 0xffff, base, rights};
}

}  // namespace

std::uint64_t Core::cr(unsigned index) const {
    switch (index) {
        case 0:
            return cr0_;
        case 4:
            return cr4_;
        case 8:
            return apic_ != nullptr ? apic_->tpr() >> 4 : 0;
        default:
            return engine_->cr(index);
    }
}

void Core::set_cr(unsigned index, std::uint64_t value) {
    switch (index) {
        case 0:
            cr0_ = value;
            break;
        case 4:
            cr4_ = value;
            break;
        case 8:
            if (apic_ != nullptr) apic_->set_tpr(static_cast<std::uint8_t>(value << 4));
            return;
        default:
            break;
    }
    engine_->set_cr(index, value);
    if (index != 2) paging_changed();
}

void Core::set_efer(std::uint64_t value) {
    efer_ = value;
    // SVME stays away from the engine: its own SVM instructions would run.
    engine_->set_efer(value & ~efer::kSVME);
    paging_changed();
}

void Core::set_rflags(std::uint64_t value) {
    engine_->set_rflags(value | rflags::kReserved1);
}

void Core::set_optional_intercepts(const engine::OptionalIntercepts& intercepts) {
    requested_ = intercepts;
    update_optional_intercepts();
}

/// What a guest's controls ask for, and what the core sees for itself.
void Core::update_optional_intercepts() {
    engine::OptionalIntercepts wanted = requested_;
    wanted.cr3_write |= paging_.mode == mmu::PagingMode::pae;
    if (cr4_ & cr4::kUMIP) wanted.cr0_read = wanted.descriptor_reads = true;  // SMSW, SIDT, ...
    wanted.pause = true;                                                      // it takes time
    wanted.sysret_checks_rip = model_->vendor == Vendor::intel;
    wanted.cr3_bits = model_->physical_address_bits;
    if (wanted == optional_) return;
    optional_ = wanted;
    engine_->set_optional_intercepts(optional_);
}

/// Whether PAE paging is in use with these values. MOV to CR0 and CR4 loads the PDPTEs then if it
/// changes one of certain bits (SDM 3A 4.4.1).
bool Core::pae_paging_with(std::uint64_t cr0, std::uint64_t cr4) const noexcept {
    return (cr0 & cr0::kPG) && (cr4 & cr4::kPAE) && !(efer_ & efer::kLME);
}

/// SDM 3A 4.4.1. False: #GP(0).
bool Core::load_pdptes(std::uint64_t cr3) {
    if (guest_ != nullptr && guest_->walks_pdptes()) return true;
    const mmu::PdpteLoad load =
        mmu::load_pdptes(second_stage(), cr3, model_->physical_address_bits);
    if (load.reserved_bits_set) return false;
    // DEVIATION: an EPT violation of this load reads as not-present PDPTEs; the guest's next access
    // faults where the processor would have exited at the load.
    pdptes_ = load.pdpte;
    return true;
}

bool Core::load_pdptes_of(std::uint64_t cr3) {
    if (!load_pdptes(cr3)) return false;
    paging_.pdpte = pdptes_;
    return true;
}

void Core::set_pdptes(const std::array<std::uint64_t, 4>& pdptes) noexcept {
    pdptes_ = paging_.pdpte = pdptes;
}

std::uint64_t Core::debugctl() const noexcept {
    return msrs_->debugctl();
}
void Core::set_debugctl(std::uint64_t value) noexcept {
    msrs_->set_debugctl(value);
}

bool Core::write_cr_checked(unsigned index, std::uint64_t value) {  // SDM 2B MOV CR, SDM 3A 2.5
    switch (index) {
        case 0: {
            if (value & ~std::uint64_t{0xffffffff}) return false;
            value = (value & kCr0Valid) | cr0::kET;
            if ((value & cr0::kPG) && !(value & cr0::kPE)) return false;
            if ((value & cr0::kNW) && !(value & cr0::kCD)) return false;
            if (extension_ != nullptr && !extension_->allows_cr(0, value)) return false;
            const bool paging_on = (value & cr0::kPG) && !(cr0_ & cr0::kPG);
            const bool paging_off = !(value & cr0::kPG) && (cr0_ & cr0::kPG);
            if (paging_off && (cr4_ & cr4::kPCIDE)) return false;  // SDM 3A 4.10.1
            if (paging_on && (efer_ & efer::kLME)) {
                if (!(cr4_ & cr4::kPAE) || ar::L::test(segment(SegmentName::cs).access_rights))
                    return false;
                set_efer(efer_ | efer::kLMA);
            } else if (pae_paging_with(value, cr4_) &&
                       ((value ^ cr0_) & (cr0::kCD | cr0::kNW | cr0::kPG)) && !load_pdptes(cr(3))) {
                return false;
            }
            if (paging_off && (efer_ & efer::kLMA)) {
                if (code_mode().long64) return false;
                set_efer(efer_ & ~efer::kLMA);
            }
            set_cr(0, value);
            return true;
        }
        case 3: {
            // Bits above MAXPHYADDR are reserved in long mode; 63 too without PCIDs. With them it
            // asks to keep what is cached (SDM 3A 4.10.4.1), and is not stored.
            // DEVIATION: translations are not tagged by PCID: each MOV to CR3 drops all of them.
            if (cr4_ & cr4::kPCIDE) value &= ~kCr3NoFlush;
            if ((efer_ & efer::kLMA) && value >> model_->physical_address_bits) return false;
            if (paging_.mode == mmu::PagingMode::pae && !load_pdptes_of(value)) return false;
            engine_->set_cr(3, value);
            flush_tlb();
            return true;
        }
        case 4: {
            if (value & ~valid_cr4(*model_, virtualization_)) return false;
            if (extension_ != nullptr && !extension_->allows_cr(4, value)) return false;
            if ((efer_ & efer::kLMA) && !(value & cr4::kPAE)) return false;
            // SDM 3A 4.10.1: only in IA-32e mode, and with PCID 0.
            if ((value & cr4::kPCIDE) && !(cr4_ & cr4::kPCIDE) &&
                (!(efer_ & efer::kLMA) || (cr(3) & 0xfff) != 0))
                return false;
            constexpr std::uint64_t kLoading = cr4::kPAE | cr4::kPGE | cr4::kPSE | cr4::kSMEP;
            if (pae_paging_with(cr0_, value) && ((value ^ cr4_) & kLoading) && !load_pdptes(cr(3)))
                return false;
            set_cr(4, value);
            return true;
        }
        case 8:
            if (value & ~std::uint64_t{0xf}) return false;
            set_cr(8, value);
            poll_soon();
            return true;
        default:
            return false;
    }
}

CpuidResult Core::native_cpuid(std::uint32_t leaf, std::uint32_t subleaf) const {
    CpuidContext context;
    context.apic_id = apic_id_;
    context.processor_count = processor_count_;
    context.tsc_hz = timing_.clock_tsc_hz;
    context.osxsave = (cr4_ & cr4::kOSXSAVE) != 0;
    context.apic_enabled = apic_ == nullptr || apic_->mode() != apic::ApicMode::disabled;
    context.virtualization = virtualization_;
    context.nx = nx_;
    context.monitor = msrs_->monitor_enabled();
    context.slat = slat_;
    context.xcr0 = xcr0();
    return cpuid(*model_, context, leaf, subleaf);
}

bool Core::read_msr(std::uint32_t index, std::uint64_t& value) {
    if (engine::Engine::is_native_msr(index)) {
        value = engine_->native_msr(index);
        return true;
    }
    bool fault = false;
    if (extension_ != nullptr && extension_->read_msr(index, value, fault)) return !fault;
    switch (index) {
        case msr::kTsc:
            value = tsc();
            return true;
        case msr::kTscAdjust:
            value = tsc_offset_;
            return model_->vendor == Vendor::intel;
        case msr::kEfer:
            value = efer_;
            return true;
        case msr::kPat:
            value = pat_;
            return true;
        default:
            break;
    }
    const bool apic_msr = index == msr::kApicBase || index == msr::kTscDeadline ||
                          (index >= msr::kX2ApicFirst && index <= msr::kX2ApicLast);
    if (apic_msr && apic_ != nullptr) {
        const auto result = apic_->read_msr(index, now());
        if (result) value = *result;
        return result.has_value();
    }
    return msrs_->read(index, value);
}

/// IA32_TSC_DEADLINE counts by the same counter (SDM 3A 11.5.4.1).
void Core::set_tsc_offset(std::uint64_t offset) {
    tsc_offset_ = offset;
    if (apic_ == nullptr) return;
    apic_->set_tsc_offset(offset, now());
    poll_soon();
}

bool Core::write_msr(std::uint32_t index, std::uint64_t value) {
    if (engine::Engine::is_native_msr(index)) {
        const bool address = index == msr::kLstar || index == msr::kCstar ||
                             index == msr::kFsBase || index == msr::kGsBase ||
                             index == msr::kKernelGsBase || index == msr::kSysenterEip ||
                             index == msr::kSysenterEsp;
        if (address && !is_canonical(value)) return false;  // SDM 2B WRMSR
        if ((index == msr::kFmask || index == msr::kTscAux) && value >> 32) return false;
        engine_->set_native_msr(index, value);
        return true;
    }
    bool fault = false;
    if (extension_ != nullptr && extension_->write_msr(index, value, fault)) return !fault;
    switch (index) {
        case msr::kTsc:
            set_tsc_offset(tsc_offset_ + value - tsc());
            return true;
        case msr::kTscAdjust:
            if (model_->vendor != Vendor::intel) return false;
            set_tsc_offset(value);
            return true;
        case msr::kEfer: {  // SDM 3A 2.2.1; APM 2 3.1.7
            std::uint64_t valid = efer::kSCE | efer::kLME | efer::kLMA;
            if (nx_) valid |= efer::kNXE;
            if (model_->vendor == Vendor::amd && virtualization_) valid |= efer::kSVME;
            if (value & ~valid) return false;
            if (((value ^ efer_) & efer::kLME) && (cr0_ & cr0::kPG)) return false;
            if (extension_ != nullptr && !extension_->allows_efer(value)) return false;
            set_efer((value & ~efer::kLMA) | (efer_ & efer::kLMA));
            return true;
        }
        case msr::kPat:
            if (!is_valid_pat(value)) return false;
            pat_ = value;
            return true;
        default:
            break;
    }
    const bool apic_msr = index == msr::kApicBase || index == msr::kTscDeadline ||
                          (index >= msr::kX2ApicFirst && index <= msr::kX2ApicLast);
    if (apic_msr && apic_ != nullptr) {
        const bool done = apic_->write_msr(index, value, now());
        poll_soon();
        return done;
    }
    return msrs_->write(index, value);
}

void Core::reset(bool init) {
    if (on_guest_side_) change_sides(engine::Transition::svm);
    flush_guest_tlb();
    for (unsigned i = 0; i < engine::kGprCount; ++i) engine_->set_gpr(i, 0);
    engine_->set_gpr(engine::kRdx, model_->signature);
    constexpr std::uint32_t kData = 0x93, kCode = 0x9b, kLdt = 0x82, kTss = 0x8b;
    // SDM 3A table 10-1: INIT keeps CD and NW.
    const std::uint64_t kept = init ? cr0_ & (cr0::kCD | cr0::kNW) : cr0::kCD | cr0::kNW;
    set_cr(0, cr0::kET | kept);
    set_cr(2, 0);
    set_cr(3, 0);
    set_cr(4, 0);
    set_efer(0);
    for (const SegmentName name :
         {SegmentName::es, SegmentName::ss, SegmentName::ds, SegmentName::fs, SegmentName::gs})
        set_segment(name, real_mode_segment(0, 0, kData));
    set_segment(SegmentName::cs, real_mode_segment(0xf000, 0xffff0000, kCode));
    set_segment(SegmentName::ldtr, real_mode_segment(0, 0, kLdt));
    set_segment(SegmentName::tr, real_mode_segment(0, 0, kTss));
    set_gdtr({0, 0xffff});
    set_idtr({0, 0xffff});
    set_rip(0xfff0);
    set_rflags(rflags::kReserved1);
    set_interrupt_shadow(false);
    set_nmi_blocked(false);
    for (unsigned i = 0; i < 4; ++i) set_dr(i, 0);
    set_dr(6, 0xffff0ff0);
    set_dr(7, 0x400);
    activity_ = ActivityState::active;
    injection_pending_ = false;
    last_branches_ = {};
    held_debug_bits_ = 0;
    monitor_ = {};
    if (extension_ != nullptr) extension_->reset(init);
    if (init) return;
    pat_ = kPatReset;
    set_xcr0(1);
    tsc_offset_ = 0;
    std::array<std::uint8_t, 512> fpu{};
    fpu[0] = 0x40;  // FCW
    fpu[24] = 0x80;
    fpu[25] = 0x1f;  // MXCSR
    fxrstor(fpu);
}

InitOutcome Core::on_init() {
    const InitOutcome outcome = extension_ != nullptr ? extension_->on_init() : InitOutcome::reset;
    if (outcome == InitOutcome::reset) reset(true);
    return outcome;
}

void Core::on_sipi(std::uint8_t vector) {
    if (extension_ == nullptr || !extension_->on_sipi(vector)) start_at_sipi(vector);
}

void Core::start_at_sipi(std::uint8_t vector) {
    set_segment(SegmentName::cs, real_mode_segment(static_cast<std::uint16_t>(vector << 8),
                                                   static_cast<std::uint64_t>(vector) << 12, 0x9b));
    set_rip(0);
    activity_ = ActivityState::active;
}

// --- for the trace ---

sim::Code Core::fetched_code(unsigned most) {
    sim::Code code;
    const CodeMode mode = code_mode();
    code.bits = mode.long64 ? 64 : mode.default32 ? 32 : 16;
    const std::uint64_t linear =
        mode.long64 ? rip() : (segment(SegmentName::cs).base + rip()) & 0xffffffff;
    const std::size_t size = std::min<std::size_t>(most, sim::Code::kMost);
    while (code.size < size) {
        const std::uint64_t from = linear + code.size;
        const std::size_t part =
            std::min<std::size_t>(size - code.size, sim::kPageSize - from % sim::kPageSize);
        std::uint64_t page = 0;
        if (!engine_->fetched_page(from, cpl() == 3, page) ||
            !ram_.read_bytes(page + from % sim::kPageSize, {code.bytes.data() + code.size, part}))
            break;
        code.size = static_cast<std::uint8_t>(code.size + part);
    }
    return code;
}

}  // namespace hvsim::cpu
