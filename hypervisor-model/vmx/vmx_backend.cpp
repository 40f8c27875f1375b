#include "hypervisor-model/vmx/vmx_backend.h"

#include "cpu/descriptor.h"
#include "cpu/msr_file.h"
#include "cpu/vmx/capabilities.h"
#include "sim/error.h"

namespace hvsim::hv {
namespace {

namespace vmx = cpu::vmx;
using vmx::Field;

constexpr std::uint32_t kPrimary =
    vmx::primary::kTscOffsetting | vmx::primary::kHltExiting | vmx::primary::kCr8LoadExiting |
    vmx::primary::kCr8StoreExiting | vmx::primary::kIoBitmaps | vmx::primary::kMsrBitmaps |
    vmx::primary::kMonitorExiting | vmx::primary::kMwaitExiting | vmx::primary::kSecondaryControls;
constexpr std::uint32_t kSecondary = vmx::secondary::kEpt | vmx::secondary::kVpid |
                                     vmx::secondary::kUnrestrictedGuest | vmx::secondary::kRdtscp;

// CR0 and CR4 bits that VMX operation fixes and the guest must not see or change.
constexpr std::uint64_t kCr0Owned = cpu::cr0::kNE;
constexpr std::uint64_t kCr4Owned = cpu::cr4::kVMXE;

Field nth(Field first, unsigned index) {
    return static_cast<Field>(static_cast<unsigned>(first) + 2 * index);
}

constexpr std::array<std::uint32_t, 9> kGuestOwnMsrs{
    cpu::msr::kStar,         cpu::msr::kLstar,      cpu::msr::kCstar,
    cpu::msr::kFmask,        cpu::msr::kFsBase,     cpu::msr::kGsBase,
    cpu::msr::kKernelGsBase, cpu::msr::kSysenterCs, cpu::msr::kTscAux};

}  // namespace

VmxBackend::VmxBackend(const VmxPages& pages, const VmxBackendConfig& config,
                       cpu::ExecutionCore& core, cpu::HostSoftware& host)
    : core_(core), vmcs_(pages.vmcs, core, host) {
    write_controls(pages, config);
    write_host_state(config);
    vmcs_.write(Field::VMCS_LINK_POINTER, ~std::uint64_t{0});
    vmcs_.write(Field::GUEST_PAT, cpu::kPatReset);
}

void VmxBackend::write_controls(const VmxPages& pages, const VmxBackendConfig& config) {
    sim::Ram& ram = core_.ram();
    ram.write(pages.vmcs, vmx::kRevision);
    vmcs_.write(Field::PIN_BASED_CONTROLS, vmx::kPinControls.must_be_one |
                                               vmx::pin::kExternalInterruptExiting |
                                               vmx::pin::kNmiExiting | vmx::pin::kVirtualNmis);
    vmcs_.write(Field::PRIMARY_CONTROLS, vmx::kPrimaryControls.must_be_one | kPrimary);
    // What the processor's guests are told that they have, has to be switched on.
    const std::uint32_t invpcid =
        vmx::secondary_controls(core_.model()).may_be_one & vmx::secondary::kInvpcid;
    vmcs_.write(Field::SECONDARY_CONTROLS, kSecondary | invpcid);
    vmcs_.write(Field::PLE_GAP, kPauseGap);
    vmcs_.write(Field::PLE_WINDOW, kSpinWindow);
    vmcs_.write(Field::EXIT_CONTROLS,
                vmx::kExitControls.must_be_one | vmx::exit_control::kHostAddressSpace64 |
                    vmx::exit_control::kAcknowledgeInterrupt | vmx::exit_control::kSavePat |
                    vmx::exit_control::kLoadPat | vmx::exit_control::kSaveEfer |
                    vmx::exit_control::kLoadEfer);
    vmcs_.write(Field::ENTRY_CONTROLS, vmx::kEntryControls.must_be_one |
                                           vmx::entry_control::kLoadPat |
                                           vmx::entry_control::kLoadEfer);
    vmcs_.write(Field::EPT_POINTER, config.ept_pointer);
    vmcs_.write(Field::VPID, config.vpid);
    vmcs_.write(Field::CR0_MASK, kCr0Owned);
    vmcs_.write(Field::CR4_MASK, kCr4Owned);
    // All ports and MSRs exit, but for those that belong to the guest alone.
    ram.fill(pages.io_bitmap_a, sim::kPageSize, 0xff);
    ram.fill(pages.io_bitmap_b, sim::kPageSize, 0xff);
    ram.fill(pages.msr_bitmap, sim::kPageSize, 0xff);
    for (const std::uint32_t msr : kGuestOwnMsrs)
        for (const std::uint64_t half : {0, 2048}) {
            const std::uint64_t byte =
                pages.msr_bitmap + half + (msr >= 0xc0000000 ? 1024 : 0) + (msr & 0x1fff) / 8;
            std::uint8_t bits = 0;
            ram.read(byte, bits);
            ram.write(byte, static_cast<std::uint8_t>(bits & ~(1u << (msr & 7))));
        }
    vmcs_.write(Field::IO_BITMAP_A, pages.io_bitmap_a);
    vmcs_.write(Field::IO_BITMAP_B, pages.io_bitmap_b);
    vmcs_.write(Field::MSR_BITMAPS, pages.msr_bitmap);
}

/// The modelled hypervisor runs in 64-bit mode behind one entry point.
void VmxBackend::write_host_state(const VmxBackendConfig& config) {
    constexpr std::uint64_t kEntryPoint = 0xfffff80000001000;
    vmcs_.write(Field::HOST_CR0, vmx::kCr0Fixed0 | cpu::cr0::kWP | cpu::cr0::kET);
    vmcs_.write(Field::HOST_CR3, config.host_cr3);
    vmcs_.write(Field::HOST_CR4, vmx::kCr4Fixed0 | cpu::cr4::kPAE | cpu::cr4::kPGE);
    vmcs_.write(Field::HOST_CS_SELECTOR, 0x10);
    vmcs_.write(Field::HOST_SS_SELECTOR, 0x18);
    vmcs_.write(Field::HOST_TR_SELECTOR, 0x40);
    vmcs_.write(Field::HOST_RIP, kEntryPoint);
    vmcs_.write(Field::HOST_PAT, cpu::kPatReset);
    vmcs_.write(Field::HOST_EFER,
                cpu::efer::kLME | cpu::efer::kLMA | cpu::efer::kNXE | cpu::efer::kSCE);
}

EntryReport VmxBackend::enter() {
    update_ia32e_control();
    const vmx::EntryResult result = vmcs_.enter(!launched_);
    if (result.entered()) {
        launched_ = true;
        return {};
    }
    return {false,
            result.failure.rule,
            result.failure.section,
            vmx::field_name(result.failure.field),
            result.failure.demand,
            result.failure.value};
}

ExitInfo VmxBackend::exit_info() const {
    ExitInfo exit;
    exit.raw_reason = static_cast<std::uint32_t>(vmcs_.read(Field::EXIT_REASON));
    exit.qualification = vmcs_.read(Field::EXIT_QUALIFICATION);
    exit.instruction_length = static_cast<std::uint8_t>(vmcs_.read(Field::EXIT_INSTRUCTION_LENGTH));
    const std::uint64_t info = vmcs_.read(Field::EXIT_INTERRUPTION_INFO);
    exit.has_vector = vmx::interruption::VALID::test(info);
    exit.vector = static_cast<std::uint8_t>(vmx::interruption::VECTOR::get(info));
    exit.has_error_code = vmx::interruption::ERROR_CODE_VALID::test(info);
    if (exit.has_error_code)
        exit.error_code =
            static_cast<std::uint32_t>(vmcs_.read(Field::EXIT_INTERRUPTION_ERROR_CODE));
    switch (static_cast<vmx::ExitReason>(exit.raw_reason & 0xffff)) {
        case vmx::ExitReason::exception_or_nmi:
            exit.kind =
                vmx::interruption::TYPE::get(info) == 2 ? ExitKind::nmi : ExitKind::exception;
            break;
        case vmx::ExitReason::external_interrupt:
            exit.kind = ExitKind::external_interrupt;
            break;
        case vmx::ExitReason::nmi_window:
        case vmx::ExitReason::interrupt_window:
            exit.kind = ExitKind::interrupt_window;
            break;
        case vmx::ExitReason::triple_fault:
            exit.kind = ExitKind::triple_fault;
            break;
        case vmx::ExitReason::cpuid:
            exit.kind = ExitKind::cpuid;
            break;
        case vmx::ExitReason::hlt:
            exit.kind = ExitKind::hlt;
            break;
        case vmx::ExitReason::pause:
            exit.kind = ExitKind::pause_loop;
            break;
        case vmx::ExitReason::xsetbv:
            exit.kind = ExitKind::xsetbv;
            break;
        case vmx::ExitReason::rdmsr:
            exit.kind = ExitKind::msr_read;
            break;
        case vmx::ExitReason::wrmsr:
            exit.kind = ExitKind::msr_write;
            break;
        case vmx::ExitReason::cr_access:
            exit.kind = ExitKind::cr_access;
            break;
        case vmx::ExitReason::vmcall:
            exit.kind = ExitKind::hypercall;
            break;
        case vmx::ExitReason::invd:
            exit.kind = ExitKind::cache_control;
            break;
        case vmx::ExitReason::io_instruction:
            exit.kind = ExitKind::io;
            exit.io.size = static_cast<std::uint8_t>((exit.qualification & 7) + 1);
            exit.io.in = sim::bit(exit.qualification, 3);
            exit.io.string = sim::bit(exit.qualification, 4);
            exit.io.rep = sim::bit(exit.qualification, 5);
            exit.io.port = static_cast<std::uint16_t>(exit.qualification >> 16);
            break;
        case vmx::ExitReason::ept_violation:
            exit.kind = ExitKind::nested_page_fault;
            exit.gpa = vmcs_.read(Field::GUEST_PHYSICAL_ADDRESS);
            exit.gva = vmcs_.read(Field::GUEST_LINEAR_ADDRESS);
            exit.gva_valid = sim::bit(exit.qualification, 7);
            exit.write = sim::bit(exit.qualification, 1);
            exit.execute = sim::bit(exit.qualification, 2);
            exit.operand = exit.gva_valid && sim::bit(exit.qualification, 8) && !exit.execute &&
                           !vmx::interruption::VALID::test(vmcs_.read(Field::IDT_VECTORING_INFO));
            break;
        case vmx::ExitReason::ept_misconfiguration:
            exit.kind = ExitKind::nested_misconfiguration;
            exit.gpa = vmcs_.read(Field::GUEST_PHYSICAL_ADDRESS);
            break;
        case vmx::ExitReason::vmclear:
        case vmx::ExitReason::vmlaunch:
        case vmx::ExitReason::vmptrld:
        case vmx::ExitReason::vmptrst:
        case vmx::ExitReason::vmread:
        case vmx::ExitReason::vmresume:
        case vmx::ExitReason::vmwrite:
        case vmx::ExitReason::vmxoff:
        case vmx::ExitReason::vmxon:
        case vmx::ExitReason::invept:
        case vmx::ExitReason::invvpid:
        case vmx::ExitReason::monitor:  // not offered to guests either
        case vmx::ExitReason::mwait:
            exit.kind = ExitKind::virtualization_instruction;
            break;
        default:
            exit.kind = ExitKind::other;
            break;
    }
    return exit;
}

void VmxBackend::skip_instruction(unsigned length) {
    std::uint64_t next = rip() + length;
    const bool long64 =
        (efer() & cpu::efer::kLMA) && cpu::ar::L::test(vmcs_.read(Field::GUEST_CS_ACCESS_RIGHTS));
    if (!long64) next &= 0xffffffff;
    set_rip(next);
    // An instruction was executed: the shadow of STI or MOV SS ends (SDM 3C 25.4.2).
    if (interrupt_shadow()) set_interrupt_shadow(false);
}

void VmxBackend::request_interrupt_window(bool wanted) {
    if (wanted == window_) return;
    window_ = wanted;
    set_primary_control(vmx::primary::kInterruptWindowExiting, wanted);
}

void VmxBackend::request_nmi_window(bool wanted) {
    if (wanted == nmi_window_) return;
    nmi_window_ = wanted;
    set_primary_control(vmx::primary::kNmiWindowExiting, wanted);
}

void VmxBackend::set_primary_control(std::uint32_t control, bool wanted) {
    const std::uint64_t controls = vmcs_.read(Field::PRIMARY_CONTROLS);
    vmcs_.write(Field::PRIMARY_CONTROLS,
                wanted ? controls | control : controls & ~std::uint64_t{control});
}

/// CR0 as the guest wants it: NE stays 1 underneath, IA-32e mode follows PG (SDM 3A 10.8.5).
void VmxBackend::write_cr0(std::uint64_t value) {
    const std::uint64_t old = vmcs_.read(Field::GUEST_CR0);
    vmcs_.write(Field::CR0_READ_SHADOW, value & kCr0Owned);
    std::uint64_t efer_value = efer();
    const bool paging_changes = ((value ^ old) & cpu::cr0::kPG) != 0;
    if (paging_changes && (efer_value & cpu::efer::kLME)) {
        if (value & cpu::cr0::kPG)
            efer_value |= cpu::efer::kLMA;
        else
            efer_value &= ~cpu::efer::kLMA;
        vmcs_.write(Field::GUEST_EFER, efer_value);
    }
    vmcs_.write(Field::GUEST_CR0, value | kCr0Owned | cpu::cr0::kET);
}

bool VmxBackend::emulate_cr_access(const ExitInfo& exit, apic::LocalApic& virtual_apic) {
    const unsigned number = exit.qualification & 0xf;
    const unsigned access = exit.qualification >> 4 & 3;
    const unsigned reg = exit.qualification >> 8 & 0xf;
    enum : unsigned { kMovTo, kMovFrom, kClts, kLmsw };
    switch (access) {
        case kMovFrom:
            if (number == 8)
                set_gpr(reg, virtual_apic.tpr() >> 4);
            else
                set_gpr(reg, cr(number));
            return true;
        case kClts:
            write_cr0(cr(0) & ~cpu::cr0::kTS);
            return true;
        case kLmsw:
            write_cr0((cr(0) & ~std::uint64_t{0xe}) | (exit.qualification >> 16 & 0xf));
            return true;
        default:
            break;
    }
    const std::uint64_t value = gpr(reg);
    switch (number) {
        case 0:
            if (value >> 32 || ((value & cpu::cr0::kPG) && !(value & cpu::cr0::kPE)) ||
                ((value & cpu::cr0::kNW) && !(value & cpu::cr0::kCD)))
                return false;
            write_cr0(value);
            return true;
        case 4:
            return false;  // the guest has no VMX: setting VMXE is #GP
        case 8:
            if (value >> 4) return false;
            virtual_apic.set_tpr(static_cast<std::uint8_t>(value << 4));
            return true;
        default:
            return false;
    }
}

void VmxBackend::set_tsc_offset(std::uint64_t offset) {
    if (vmcs_.read(Field::TSC_OFFSET) != offset) vmcs_.write(Field::TSC_OFFSET, offset);
}

void VmxBackend::exit_when_spinning(bool wanted) {
    const std::uint64_t now = vmcs_.read(Field::SECONDARY_CONTROLS);
    const std::uint64_t bit = vmx::secondary::kPauseLoopExiting;
    const std::uint64_t next = wanted ? now | bit : now & ~bit;
    if (next != now) vmcs_.write(Field::SECONDARY_CONTROLS, next);
}

void VmxBackend::update_ia32e_control() {
    const std::uint64_t controls = vmcs_.read(Field::ENTRY_CONTROLS);
    std::uint64_t wanted = controls & ~std::uint64_t{vmx::entry_control::kIa32eGuest};
    if (efer() & cpu::efer::kLMA) wanted |= vmx::entry_control::kIa32eGuest;
    if (wanted != controls) vmcs_.write(Field::ENTRY_CONTROLS, wanted);
}

// --- registers ---

std::uint64_t VmxBackend::gpr(unsigned index) const {
    return index == cpu::engine::kRsp ? vmcs_.read(Field::GUEST_RSP) : core_.gpr(index);
}
void VmxBackend::set_gpr(unsigned index, std::uint64_t value) {
    if (index == cpu::engine::kRsp)
        vmcs_.write(Field::GUEST_RSP, value);
    else
        core_.set_gpr(index, value);
}

std::uint64_t VmxBackend::cr(unsigned index) const {
    switch (index) {
        case 0:
            return (vmcs_.read(Field::GUEST_CR0) & ~kCr0Owned) |
                   (vmcs_.read(Field::CR0_READ_SHADOW) & kCr0Owned);
        case 3:
            return vmcs_.read(Field::GUEST_CR3);
        case 4:
            return (vmcs_.read(Field::GUEST_CR4) & ~kCr4Owned) |
                   (vmcs_.read(Field::CR4_READ_SHADOW) & kCr4Owned);
        default:
            return core_.cr(2);
    }
}

void VmxBackend::set_cr(unsigned index, std::uint64_t value) {
    switch (index) {
        case 0:
            vmcs_.write(Field::CR0_READ_SHADOW, value & kCr0Owned);
            vmcs_.write(Field::GUEST_CR0, value | kCr0Owned);
            break;
        case 3:
            vmcs_.write(Field::GUEST_CR3, value);
            break;
        case 4:
            vmcs_.write(Field::CR4_READ_SHADOW, value & kCr4Owned);
            vmcs_.write(Field::GUEST_CR4, value | kCr4Owned);
            break;
        default:
            core_.set_cr(2, value);
            break;
    }
}

std::uint64_t VmxBackend::dr(unsigned index) const {
    return index == 7 ? vmcs_.read(Field::GUEST_DR7) : core_.dr(index);
}
void VmxBackend::set_dr(unsigned index, std::uint64_t value) {
    if (index == 7)
        vmcs_.write(Field::GUEST_DR7, value);
    else
        core_.set_dr(index, value);
}

void VmxBackend::set_efer(std::uint64_t value) {
    vmcs_.write(Field::GUEST_EFER, value);
}

Segment VmxBackend::segment(SegmentName name) const {
    const auto index = static_cast<unsigned>(name);
    Segment segment;
    segment.selector = static_cast<std::uint16_t>(vmcs_.read(nth(Field::GUEST_ES_SELECTOR, index)));
    segment.limit = static_cast<std::uint32_t>(vmcs_.read(nth(Field::GUEST_ES_LIMIT, index)));
    segment.access_rights =
        static_cast<std::uint32_t>(vmcs_.read(nth(Field::GUEST_ES_ACCESS_RIGHTS, index)));
    segment.base = vmcs_.read(nth(Field::GUEST_ES_BASE, index));
    return segment;
}

void VmxBackend::set_segment(SegmentName name, const Segment& segment) {
    const auto index = static_cast<unsigned>(name);
    vmcs_.write(nth(Field::GUEST_ES_SELECTOR, index), segment.selector);
    vmcs_.write(nth(Field::GUEST_ES_LIMIT, index), segment.limit);
    vmcs_.write(nth(Field::GUEST_ES_ACCESS_RIGHTS, index), segment.access_rights);
    vmcs_.write(nth(Field::GUEST_ES_BASE, index), segment.base);
}

TableRegister VmxBackend::gdtr() const {
    return {vmcs_.read(Field::GUEST_GDTR_BASE),
            static_cast<std::uint16_t>(vmcs_.read(Field::GUEST_GDTR_LIMIT))};
}
void VmxBackend::set_gdtr(const TableRegister& value) {
    vmcs_.write(Field::GUEST_GDTR_BASE, value.base);
    vmcs_.write(Field::GUEST_GDTR_LIMIT, value.limit);
}
TableRegister VmxBackend::idtr() const {
    return {vmcs_.read(Field::GUEST_IDTR_BASE),
            static_cast<std::uint16_t>(vmcs_.read(Field::GUEST_IDTR_LIMIT))};
}
void VmxBackend::set_idtr(const TableRegister& value) {
    vmcs_.write(Field::GUEST_IDTR_BASE, value.base);
    vmcs_.write(Field::GUEST_IDTR_LIMIT, value.limit);
}

bool VmxBackend::read_msr(std::uint32_t number, std::uint64_t& value) const {
    switch (number) {
        case cpu::msr::kPat:
            value = vmcs_.read(Field::GUEST_PAT);
            return true;
        case cpu::msr::kSysenterCs:
            value = vmcs_.read(Field::GUEST_SYSENTER_CS);
            return true;
        case cpu::msr::kSysenterEsp:
            value = vmcs_.read(Field::GUEST_SYSENTER_ESP);
            return true;
        case cpu::msr::kSysenterEip:
            value = vmcs_.read(Field::GUEST_SYSENTER_EIP);
            return true;
        default:
            break;
    }
    if (!cpu::engine::Engine::is_native_msr(number)) return false;
    value = core_.native_msr(number);
    return true;
}

bool VmxBackend::write_msr(std::uint32_t number, std::uint64_t value) {
    switch (number) {
        case cpu::msr::kPat:
            vmcs_.write(Field::GUEST_PAT, value);
            return true;
        case cpu::msr::kSysenterCs:
            vmcs_.write(Field::GUEST_SYSENTER_CS, value);
            return true;
        case cpu::msr::kSysenterEsp:
            vmcs_.write(Field::GUEST_SYSENTER_ESP, value);
            return true;
        case cpu::msr::kSysenterEip:
            vmcs_.write(Field::GUEST_SYSENTER_EIP, value);
            return true;
        default:
            break;
    }
    if (!cpu::engine::Engine::is_native_msr(number)) return false;
    core_.set_native_msr(number, value);
    return true;
}

bool VmxBackend::interrupt_shadow() const {
    return (vmcs_.read(Field::GUEST_INTERRUPTIBILITY) &
            (vmx::interruptibility::kBlockingBySti | vmx::interruptibility::kBlockingByMovSs)) != 0;
}
void VmxBackend::set_interrupt_shadow(bool value) {
    const std::uint64_t blocking = vmcs_.read(Field::GUEST_INTERRUPTIBILITY) & ~std::uint64_t{3};
    vmcs_.write(Field::GUEST_INTERRUPTIBILITY,
                blocking | (value ? vmx::interruptibility::kBlockingBySti : 0));
}

bool VmxBackend::has_pending_injection() const {
    return vmx::interruption::VALID::test(vmcs_.read(Field::ENTRY_INTERRUPTION_INFO));
}

void VmxBackend::inject(const InjectedEvent& event) {
    std::uint64_t info = vmx::interruption::VALID::kMask | event.vector |
                         static_cast<std::uint64_t>(event.type) << 8;
    if (event.has_error_code) {
        info |= vmx::interruption::ERROR_CODE_VALID::kMask;
        vmcs_.write(Field::ENTRY_EXCEPTION_ERROR_CODE, event.error_code);
    }
    vmcs_.write(Field::ENTRY_INTERRUPTION_INFO, info);
    vmcs_.write(Field::ENTRY_INSTRUCTION_LENGTH, event.instruction_length);
}

}  // namespace hvsim::hv
