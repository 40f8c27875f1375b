#include "hypervisor-model/svm/svm_backend.h"

#include <array>

#include "cpu/descriptor.h"
#include "cpu/msr_file.h"

namespace hvsim::hv {
namespace {

namespace svm = cpu::svm;
namespace vmcb = cpu::svm::vmcb;
using svm::ExitCode;

constexpr std::array<std::uint32_t, 11> kGuestOwnMsrs{
    cpu::msr::kStar,        cpu::msr::kLstar,       cpu::msr::kCstar,        cpu::msr::kFmask,
    cpu::msr::kFsBase,      cpu::msr::kGsBase,      cpu::msr::kKernelGsBase, cpu::msr::kSysenterCs,
    cpu::msr::kSysenterEsp, cpu::msr::kSysenterEip, cpu::msr::kTscAux};

constexpr std::array kIntercepts{
    ExitCode::INTR,     ExitCode::NMI,   ExitCode::INIT,    ExitCode::VINTR,  ExitCode::CPUID,
    ExitCode::INVD,     ExitCode::HLT,   ExitCode::INVLPGA, ExitCode::IOIO,   ExitCode::MSR,
    ExitCode::SHUTDOWN, ExitCode::VMRUN, ExitCode::VMMCALL, ExitCode::VMLOAD, ExitCode::VMSAVE,
    ExitCode::STGI,     ExitCode::CLGI,  ExitCode::SKINIT,  ExitCode::WBINVD, ExitCode::XSETBV,
    ExitCode::MONITOR,  ExitCode::MWAIT};

/// Offset in the MSR permission map (APM 2 15.11) of the byte with the MSR's two bits.
std::uint64_t msrpm_byte(std::uint32_t msr) {
    return (msr >= 0xc0000000 ? 0x800 : 0) + (msr & 0x1fff) / 4;
}

/// ES, CS, SS, DS lie in the VMCB at #VMEXIT; the others are VMSAVE's and stay in the processor.
constexpr bool is_vmrun_segment(SegmentName name) {
    return name <= SegmentName::ds;
}

template <typename T>
constexpr svm::FieldAt<T> segment_field(SegmentName name, unsigned offset) {
    return {static_cast<std::uint16_t>(vmcb::ES_SELECTOR.offset +
                                       svm::kSegmentStride * static_cast<unsigned>(name) + offset)};
}

}  // namespace

SvmBackend::SvmBackend(const SvmPages& pages, const SvmBackendConfig& config,
                       cpu::ExecutionCore& core, cpu::HostSoftware& host)
    : core_(core), guest_(pages.vmcb, core, host, config.physical_address_bits) {
    write_controls(pages, config);
}

void SvmBackend::write_controls(const SvmPages& pages, const SvmBackendConfig& config) {
    sim::Ram& ram = core_.ram();
    ram.fill(pages.vmcb, svm::kVmcbSize, 0);
    ram.fill(pages.io_permission_map, svm::kIopmBytes, 0xff);
    ram.fill(pages.msr_permission_map, svm::kMsrpmBytes, 0xff);
    for (const std::uint32_t msr : kGuestOwnMsrs) {
        const std::uint64_t address = pages.msr_permission_map + msrpm_byte(msr);
        std::uint8_t bits = 0;
        ram.read(address, bits);
        ram.write(address, static_cast<std::uint8_t>(bits & ~(3u << (2 * (msr & 3)))));
    }
    std::array<std::uint32_t, 3> intercepts{};
    for (const ExitCode code : kIntercepts)
        intercepts[svm::intercept_word(code)] |= svm::intercept_mask(code);
    set(vmcb::INTERCEPT_MISC1, intercepts[0]);
    set(vmcb::INTERCEPT_MISC2, intercepts[1]);
    set(vmcb::INTERCEPT_MISC3, intercepts[2]);
    set(vmcb::PAUSE_FILTER_COUNT, kSpinPauses);
    set(vmcb::PAUSE_FILTER_THRESHOLD, kPauseGap);
    constexpr std::uint16_t kCr8 = 1u << 8;
    set(vmcb::INTERCEPT_CR_READS, kCr8);
    set(vmcb::INTERCEPT_CR_WRITES, kCr8);
    set(vmcb::IOPM_BASE_PA, pages.io_permission_map);
    set(vmcb::MSRPM_BASE_PA, pages.msr_permission_map);
    set(vmcb::GUEST_ASID, config.asid);
    set(vmcb::NESTED_CONTROL, svm::nested_control::NP_ENABLE::kMask);
    set(vmcb::N_CR3, config.nested_cr3);
    set(vmcb::VINTR, svm::vintr::V_INTR_MASKING::kMask);
    set(vmcb::EFER, std::uint64_t{cpu::efer::kSVME});
    set(vmcb::G_PAT, cpu::kPatReset);
}

EntryReport SvmBackend::enter() {
    guest_.vmcb().set(vmcb::CLEAN, clean_);
    guest_.vmcb().set(vmcb::TLB_CONTROL,
                      flush_due_ ? svm::tlb_control::kFlushAsid : svm::tlb_control::kNothing);
    const svm::EntryResult result = guest_.vmrun();
    if (result.entered()) {
        flush_due_ = false;
        // What only this class writes, and notes when it does.
        clean_ = svm::clean::kIntercepts | svm::clean::kPermissionMaps | svm::clean::kAsid;
        return {};
    }
    clean_ = 0;
    return {false,
            result.failure.rule,
            result.failure.section,
            svm::field_name(result.failure.field),
            result.failure.demand,
            result.failure.value};
}

void SvmBackend::flush_tlb() {
    // DEVIATION: a guest that has been entered loses its translations at once. A hypervisor
    // interrupts the processor, so that it comes to a VMRUN with TLB_CONTROL.
    if (guest_.in_guest())
        guest_.flush_translations();
    else
        flush_due_ = true;
}

void SvmBackend::sync() {
    guest_.sync();
    guest_.vmsave();
}

ExitInfo SvmBackend::exit_info() const {
    ExitInfo exit;
    const std::uint64_t code = get(vmcb::EXITCODE);
    const std::uint64_t info1 = get(vmcb::EXITINFO1), info2 = get(vmcb::EXITINFO2);
    exit.raw_reason = static_cast<std::uint32_t>(code);
    exit.qualification = info1;
    const std::uint64_t next = get(vmcb::NRIP), current = get(vmcb::RIP);
    if (next != 0 && next - current <= 15)
        exit.instruction_length = static_cast<std::uint8_t>(next - current);
    if (code >= 0x40 && code < 0x60) {
        exit.kind = ExitKind::exception;
        exit.vector = static_cast<std::uint8_t>(code - 0x40);
        exit.has_vector = true;
        exit.has_error_code = cpu::has_error_code(exit.vector);
        exit.error_code = static_cast<std::uint32_t>(info1);
        if (exit.vector == cpu::kPF) exit.qualification = info2;
        return exit;
    }
    if (code < 0x20) {
        exit.kind = ExitKind::cr_access;
        return exit;
    }
    switch (static_cast<ExitCode>(code)) {
        case ExitCode::INTR:
            exit.kind = ExitKind::external_interrupt;
            break;
        case ExitCode::NMI:
            exit.kind = ExitKind::nmi;
            break;
        case ExitCode::VINTR:
            exit.kind = ExitKind::interrupt_window;
            break;
        case ExitCode::SHUTDOWN:
            exit.kind = ExitKind::triple_fault;
            break;
        case ExitCode::CPUID:
            exit.kind = ExitKind::cpuid;
            break;
        case ExitCode::HLT:
            exit.kind = ExitKind::hlt;
            break;
        case ExitCode::PAUSE:
            exit.kind = ExitKind::pause_loop;
            break;
        case ExitCode::XSETBV:
            exit.kind = ExitKind::xsetbv;
            break;
        case ExitCode::VMMCALL:
            exit.kind = ExitKind::hypercall;
            break;
        case ExitCode::INVD:
        case ExitCode::WBINVD:
            exit.kind = ExitKind::cache_control;
            break;
        case ExitCode::MSR:
            exit.kind = info1 & 1 ? ExitKind::msr_write : ExitKind::msr_read;
            break;
        case ExitCode::IOIO:
            exit.kind = ExitKind::io;
            exit.io.in = svm::ioio::TYPE::test(info1);
            exit.io.string = svm::ioio::STR::test(info1);
            exit.io.rep = svm::ioio::REP::test(info1);
            exit.io.size = svm::ioio::SZ8::test(info1) ? 1 : svm::ioio::SZ16::test(info1) ? 2 : 4;
            exit.io.port = static_cast<std::uint16_t>(svm::ioio::PORT::get(info1));
            exit.instruction_length = static_cast<std::uint8_t>(info2 - current);
            break;
        case ExitCode::NPF:
            // A reserved bit is no fault of the guest's.
            exit.kind = (info1 & mmu::npt::exitinfo1::kReserved) != 0
                            ? ExitKind::nested_misconfiguration
                            : ExitKind::nested_page_fault;
            exit.gpa = info2;
            exit.write = sim::bit(info1, 1);
            exit.execute = sim::bit(info1, 4);
            exit.operand = (info1 & mmu::npt::exitinfo1::kFinalAccess) != 0 && !exit.execute &&
                           !svm::event::V::test(get(vmcb::EXITINTINFO));
            break;
        case ExitCode::VMRUN:
        case ExitCode::VMLOAD:
        case ExitCode::VMSAVE:
        case ExitCode::STGI:
        case ExitCode::CLGI:
        case ExitCode::SKINIT:
        case ExitCode::INVLPGA:
        case ExitCode::MONITOR:  // not offered to guests either
        case ExitCode::MWAIT:
            exit.kind = ExitKind::virtualization_instruction;
            break;
        default:
            exit.kind = ExitKind::other;
            break;
    }
    return exit;
}

void SvmBackend::skip_instruction(unsigned length) {
    std::uint64_t next = rip() + length;
    const bool long64 =
        (get(vmcb::EFER) & cpu::efer::kLMA) && svm::attrib::L::test(get(vmcb::CS_ATTRIB));
    if (!long64) next &= 0xffffffff;
    set_rip(next);
    if (interrupt_shadow()) set_interrupt_shadow(false);
}

/// A virtual interrupt that always has priority, and is intercepted, opens when the guest can take
/// interrupts (APM 2 15.21.4).
void SvmBackend::request_interrupt_window(bool wanted) {
    interrupt_window_ = wanted;
    set_window();
}

// DEVIATION: an NMI that waits for the end of another's handler is taken when the handler's IRET
// has set RFLAGS.IF, or at any other exit after it. With the intercept of IRET it would have to be
// followed by a single step.
void SvmBackend::request_nmi_window(bool wanted) {
    nmi_window_ = wanted && ((rflags() & cpu::rflags::kIF) == 0 || interrupt_shadow());
    set_window();
}

void SvmBackend::set_window() {
    const bool wanted = interrupt_window_ || nmi_window_;
    if (wanted == window_) return;
    window_ = wanted;
    std::uint64_t value = svm::vintr::V_INTR_MASKING::kMask;
    if (wanted)
        value |= svm::vintr::V_IRQ::kMask | svm::vintr::V_IGN_TPR::kMask |
                 svm::vintr::V_INTR_PRIO::kMask;
    set(vmcb::VINTR, value);
}

bool SvmBackend::emulate_cr_access(const ExitInfo& exit, apic::LocalApic& virtual_apic) {
    const auto reg = static_cast<unsigned>(svm::mov_exit::GPR::get(exit.qualification));
    if (exit.raw_reason == static_cast<std::uint32_t>(ExitCode::CR8_READ)) {
        set_gpr(reg, virtual_apic.tpr() >> 4);
        return true;
    }
    const std::uint64_t value = gpr(reg);
    if (exit.raw_reason != static_cast<std::uint32_t>(ExitCode::CR8_WRITE) || value >> 4 != 0)
        return false;
    virtual_apic.set_tpr(static_cast<std::uint8_t>(value << 4));
    return true;
}

void SvmBackend::set_tsc_offset(std::uint64_t offset) {
    if (guest_.vmcb().get(vmcb::TSC_OFFSET) == offset) return;
    set(vmcb::TSC_OFFSET, offset);
    clean_ &= ~svm::clean::kIntercepts;
}

void SvmBackend::exit_when_spinning(bool wanted) {
    static_assert(svm::intercept_word(ExitCode::PAUSE) == 0);
    const std::uint32_t now = get(vmcb::INTERCEPT_MISC1);
    const std::uint32_t bit = svm::intercept_mask(ExitCode::PAUSE);
    const std::uint32_t next = wanted ? now | bit : now & ~bit;
    if (next == now) return;
    set(vmcb::INTERCEPT_MISC1, next);
    clean_ &= ~svm::clean::kIntercepts;
}

// --- registers ---

std::uint64_t SvmBackend::gpr(unsigned index) const {
    if (index == cpu::engine::kRax) return get(vmcb::RAX);
    if (index == cpu::engine::kRsp) return get(vmcb::RSP);
    return core_.gpr(index);
}
void SvmBackend::set_gpr(unsigned index, std::uint64_t value) {
    if (index == cpu::engine::kRax)
        set(vmcb::RAX, value);
    else if (index == cpu::engine::kRsp)
        set(vmcb::RSP, value);
    else
        core_.set_gpr(index, value);
}

std::uint64_t SvmBackend::cr(unsigned index) const {
    switch (index) {
        case 0:
            return get(vmcb::CR0);
        case 3:
            return get(vmcb::CR3);
        case 4:
            return get(vmcb::CR4);
        default:
            return get(vmcb::CR2);
    }
}
void SvmBackend::set_cr(unsigned index, std::uint64_t value) {
    switch (index) {
        case 0:
            set(vmcb::CR0, value);
            break;
        case 3:
            set(vmcb::CR3, value);
            break;
        case 4:
            set(vmcb::CR4, value);
            break;
        default:
            set(vmcb::CR2, value);
            break;
    }
}

std::uint64_t SvmBackend::dr(unsigned index) const {
    if (index == 6) return get(vmcb::DR6);
    if (index == 7) return get(vmcb::DR7);
    return core_.dr(index);
}
void SvmBackend::set_dr(unsigned index, std::uint64_t value) {
    if (index == 6)
        set(vmcb::DR6, value);
    else if (index == 7)
        set(vmcb::DR7, value);
    else
        core_.set_dr(index, value);
}

/// The guest does not see that EFER.SVME must be 1 (APM 2 15.5.1).
std::uint64_t SvmBackend::efer() const {
    return get(vmcb::EFER) & ~std::uint64_t{cpu::efer::kSVME};
}
void SvmBackend::set_efer(std::uint64_t value) {
    set(vmcb::EFER, value | cpu::efer::kSVME);
}

Segment SvmBackend::segment(SegmentName name) const {
    if (!is_vmrun_segment(name)) return core_.segment(name);
    Segment segment;
    segment.selector = get(segment_field<std::uint16_t>(name, 0));
    segment.access_rights = svm::rights_from_attrib(get(segment_field<std::uint16_t>(name, 2)));
    segment.limit = get(segment_field<std::uint32_t>(name, 4));
    segment.base = get(segment_field<std::uint64_t>(name, 8));
    if (name == SegmentName::ss)
        segment.access_rights = cpu::ar::DPL::set(segment.access_rights, get(vmcb::CPL));
    return segment;
}

void SvmBackend::set_segment(SegmentName name, const Segment& segment) {
    if (!is_vmrun_segment(name)) return core_.set_segment(name, segment);
    set(segment_field<std::uint16_t>(name, 0), segment.selector);
    set(segment_field<std::uint16_t>(name, 2), svm::attrib_from_rights(segment.access_rights));
    set(segment_field<std::uint32_t>(name, 4), segment.limit);
    set(segment_field<std::uint64_t>(name, 8), segment.base);
    if (name == SegmentName::ss)
        set(vmcb::CPL, static_cast<std::uint8_t>(cpu::ar::DPL::get(segment.access_rights)));
}

TableRegister SvmBackend::gdtr() const {
    return {get(vmcb::GDTR_BASE), static_cast<std::uint16_t>(get(vmcb::GDTR_LIMIT))};
}
void SvmBackend::set_gdtr(const TableRegister& value) {
    set(vmcb::GDTR_BASE, value.base);
    set(vmcb::GDTR_LIMIT, std::uint32_t{value.limit});
}
TableRegister SvmBackend::idtr() const {
    return {get(vmcb::IDTR_BASE), static_cast<std::uint16_t>(get(vmcb::IDTR_LIMIT))};
}
void SvmBackend::set_idtr(const TableRegister& value) {
    set(vmcb::IDTR_BASE, value.base);
    set(vmcb::IDTR_LIMIT, std::uint32_t{value.limit});
}

bool SvmBackend::read_msr(std::uint32_t number, std::uint64_t& value) const {
    if (number == cpu::msr::kPat) {
        value = get(vmcb::G_PAT);
        return true;
    }
    if (!cpu::engine::Engine::is_native_msr(number)) return false;
    value = core_.native_msr(number);
    return true;
}
bool SvmBackend::write_msr(std::uint32_t number, std::uint64_t value) {
    if (number == cpu::msr::kPat) {
        set(vmcb::G_PAT, value);
        return true;
    }
    if (!cpu::engine::Engine::is_native_msr(number)) return false;
    core_.set_native_msr(number, value);
    return true;
}

bool SvmBackend::interrupt_shadow() const {
    return svm::interrupt_shadow::SHADOW::test(get(vmcb::INTERRUPT_SHADOW));
}
void SvmBackend::set_interrupt_shadow(bool value) {
    set(vmcb::INTERRUPT_SHADOW,
        svm::interrupt_shadow::SHADOW::set(get(vmcb::INTERRUPT_SHADOW), value));
}

bool SvmBackend::has_pending_injection() const {
    return svm::event::V::test(guest_.vmcb().get(vmcb::EVENTINJ));
}

void SvmBackend::inject(const InjectedEvent& event) {
    std::uint64_t type = svm::event::kException;
    switch (event.type) {
        case InjectedEvent::Type::external_interrupt:
            type = svm::event::kInterrupt;
            break;
        case InjectedEvent::Type::nmi:
            type = svm::event::kNmi;
            core_.set_nmi_blocked(true);  // the hypervisor's own note, which the guest's IRET ends
            break;
        case InjectedEvent::Type::software_interrupt:
            type = svm::event::kSoftwareInterrupt;
            break;
        default:
            break;
    }
    std::uint64_t info = svm::event::V::kMask | event.vector | type << svm::event::TYPE::kLow;
    if (event.has_error_code)
        info |= svm::event::EV::kMask | std::uint64_t{event.error_code}
                                            << svm::event::ERRORCODE::kLow;
    set(vmcb::EVENTINJ, info);
    if (event.instruction_length != 0) set(vmcb::NRIP, rip() + event.instruction_length);
}

}  // namespace hvsim::hv
