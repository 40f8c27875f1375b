// The checks of VM entry on controls and host state (SDM 3C 27.2).
#include "cpu/linear_address.h"
#include "cpu/msr_file.h"
#include "cpu/vmx/capabilities.h"
#include "cpu/vmx/entry_rules.h"

namespace hvsim::cpu::vmx {
namespace {

bool has_valid_type(std::uint64_t eptp) noexcept {
    return (eptp & 7) == 0 || (eptp & 7) == 6;
}
bool has_valid_levels(std::uint64_t eptp) noexcept {
    return (eptp >> 3 & 7) == 3;
}
bool has_valid_address(const Model& model, std::uint64_t eptp) noexcept {
    return (eptp & 0xf80) == 0 && eptp >> model.physical_address_bits == 0;
}

/// TPR shadow and APIC virtualization (27.2.1.1).
void check_apic_controls(Rules& rules, std::uint32_t pins, std::uint32_t primaries,
                         std::uint32_t secondaries) {
    using F = Field;
    const bool accesses = (secondaries & secondary::kVirtualizeApicAccesses) != 0;
    const bool delivery = (secondaries & secondary::kVirtualInterruptDelivery) != 0;
    if (primaries & primary::kTprShadow) {
        const std::uint64_t page = rules[F::VIRTUAL_APIC_ADDRESS];
        rules.demand(129, F::VIRTUAL_APIC_ADDRESS, rules.is_page_address(page));
        const std::uint64_t threshold = rules[F::TPR_THRESHOLD];
        rules.demand(130, F::TPR_THRESHOLD, delivery || threshold >> 4 == 0);
        rules.demand(131, F::TPR_THRESHOLD,
                     delivery || accesses || (threshold & 0xf) <= rules.virtual_tpr(page) >> 4);
    } else {
        constexpr std::uint32_t kNeedShadow = secondary::kX2ApicMode |
                                              secondary::kApicRegisterVirtualization |
                                              secondary::kVirtualInterruptDelivery;
        rules.demand(132, F::SECONDARY_CONTROLS, !(secondaries & kNeedShadow));
    }
    if (accesses)
        rules.demand(133, F::APIC_ACCESS_ADDRESS,
                     rules.is_page_address(rules[F::APIC_ACCESS_ADDRESS]));
    rules.demand(134, F::SECONDARY_CONTROLS, !accesses || !(secondaries & secondary::kX2ApicMode));
    rules.demand(135, F::PIN_BASED_CONTROLS, !delivery || (pins & pin::kExternalInterruptExiting));
    if (!(pins & pin::kPostedInterrupts)) return;
    rules.demand(136, F::PIN_BASED_CONTROLS, delivery);
    rules.demand(137, F::EXIT_CONTROLS,
                 (rules[F::EXIT_CONTROLS] & exit_control::kAcknowledgeInterrupt) != 0);
    rules.demand(138, F::POSTED_INTERRUPT_NOTIFICATION_VECTOR,
                 rules[F::POSTED_INTERRUPT_NOTIFICATION_VECTOR] >> 8 == 0);
    const std::uint64_t descriptor = rules[F::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS];
    rules.demand(139, F::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS,
                 (descriptor & 0x3f) == 0 && rules.is_physical(descriptor));
}

/// Pages that further controls name (27.2.1.1).
void check_other_structures(Rules& rules, std::uint32_t secondaries) {
    using F = Field;
    if (secondaries & secondary::kPageModificationLogging)
        rules.demand(140, F::PML_ADDRESS, rules.is_page_address(rules[F::PML_ADDRESS]));
    if (secondaries & secondary::kVmFunctions) {
        const std::uint64_t functions = rules[F::VM_FUNCTION_CONTROLS];
        rules.demand(141, F::VM_FUNCTION_CONTROLS, (functions & ~kVmFunctions) == 0);
        const bool switching = (functions & kEptpSwitching) != 0;
        rules.demand(142, F::VM_FUNCTION_CONTROLS, !switching || (secondaries & secondary::kEpt));
        rules.demand(143, F::EPTP_LIST_ADDRESS,
                     !switching || rules.is_page_address(rules[F::EPTP_LIST_ADDRESS]));
    }
    if (secondaries & secondary::kVmcsShadowing)
        for (const F bitmap : {F::VMREAD_BITMAP_ADDRESS, F::VMWRITE_BITMAP_ADDRESS})
            rules.demand(144, bitmap, rules.is_page_address(rules[bitmap]));
}

/// 27.2.1.1.
void check_execution_controls(Rules& rules, std::uint32_t pins, std::uint32_t primaries,
                              std::uint32_t secondaries) {
    using F = Field;
    rules.demand(101, F::PIN_BASED_CONTROLS, kPinControls.allows(pins));
    rules.demand(102, F::PRIMARY_CONTROLS, kPrimaryControls.allows(primaries));
    rules.demand(103, F::SECONDARY_CONTROLS, secondary_controls(rules.model()).allows(secondaries));
    rules.demand(104, F::CR3_TARGET_COUNT, rules[F::CR3_TARGET_COUNT] <= 4);
    if (primaries & primary::kIoBitmaps) {
        rules.demand(105, F::IO_BITMAP_A, rules.is_page_address(rules[F::IO_BITMAP_A]));
        rules.demand(106, F::IO_BITMAP_B, rules.is_page_address(rules[F::IO_BITMAP_B]));
    }
    if (primaries & primary::kMsrBitmaps)
        rules.demand(107, F::MSR_BITMAPS, rules.is_page_address(rules[F::MSR_BITMAPS]));
    rules.demand(108, F::PIN_BASED_CONTROLS,
                 (pins & pin::kNmiExiting) || !(pins & pin::kVirtualNmis));
    rules.demand(109, F::PRIMARY_CONTROLS,
                 (pins & pin::kVirtualNmis) || !(primaries & primary::kNmiWindowExiting));
    if (secondaries & secondary::kVpid) rules.demand(110, F::VPID, rules[F::VPID] != 0);
    if (secondaries & secondary::kEpt) {
        const std::uint64_t eptp = rules[F::EPT_POINTER];
        rules.demand(111, F::EPT_POINTER, has_valid_type(eptp));
        rules.demand(112, F::EPT_POINTER, has_valid_levels(eptp));
        rules.demand(113, F::EPT_POINTER, has_valid_address(rules.model(), eptp));
    } else {
        constexpr std::uint32_t kNeedEpt = secondary::kUnrestrictedGuest |
                                           secondary::kModeBasedExecute |
                                           secondary::kPageModificationLogging;
        rules.demand(114, F::SECONDARY_CONTROLS, !(secondaries & kNeedEpt));
    }
    check_apic_controls(rules, pins, primaries, secondaries);
    check_other_structures(rules, secondaries);
}

void check_msr_area(Rules& rules, std::uint32_t number, Field address, Field count) {
    const std::uint64_t entries = rules[count];
    if (entries == 0) return;
    const std::uint64_t last = rules[address] + 16 * entries - 1;
    rules.demand(number, address, rules.is_msr_area(rules[address]) && rules.is_physical(last));
}

}  // namespace

void check_event_injection(Rules& rules, std::uint32_t secondaries) {
    using F = Field;
    const std::uint64_t info = rules[F::ENTRY_INTERRUPTION_INFO];
    if (!interruption::VALID::test(info)) return;
    const auto type = static_cast<EventType>(interruption::TYPE::get(info));
    const std::uint64_t vector = interruption::VECTOR::get(info);
    const bool trap = static_cast<unsigned>(type) == kInjectPendingTrap;
    rules.demand(121, F::ENTRY_INTERRUPTION_INFO, static_cast<unsigned>(type) != 1);
    rules.demand(119, F::ENTRY_INTERRUPTION_INFO, !trap || vector == 0);
    rules.demand(122, F::ENTRY_INTERRUPTION_INFO, type != EventType::nmi || vector == kNmi);
    rules.demand(123, F::ENTRY_INTERRUPTION_INFO,
                 type != EventType::hardware_exception || vector < 32);
    const bool protected_guest =
        !(secondaries & secondary::kUnrestrictedGuest) || (rules[F::GUEST_CR0] & cr0::kPE);
    const bool wants_code = protected_guest && type == EventType::hardware_exception &&
                            has_error_code(static_cast<std::uint8_t>(vector));
    rules.demand(124, F::ENTRY_INTERRUPTION_INFO,
                 interruption::ERROR_CODE_VALID::test(info) == wants_code);
    rules.demand(125, F::ENTRY_INTERRUPTION_INFO, (info & 0x7ffff000) == 0);
    if (wants_code)
        rules.demand(126, F::ENTRY_EXCEPTION_ERROR_CODE,
                     rules[F::ENTRY_EXCEPTION_ERROR_CODE] >> 16 == 0);
    if (type == EventType::software_interrupt || type == EventType::software_exception ||
        type == EventType::privileged_software_exception)
        rules.demand(127, F::ENTRY_INSTRUCTION_LENGTH, rules[F::ENTRY_INSTRUCTION_LENGTH] <= 15);
}

bool is_valid_eptp(const Model& model, std::uint64_t eptp) noexcept {
    return has_valid_type(eptp) && has_valid_levels(eptp) && has_valid_address(model, eptp);
}

// 27.2.1.
bool check_controls(const Guest& guest, EntryFailure& failure) {
    Rules rules(guest, failure);
    using F = Field;
    const auto pins = static_cast<std::uint32_t>(rules[F::PIN_BASED_CONTROLS]);
    const auto primaries = static_cast<std::uint32_t>(rules[F::PRIMARY_CONTROLS]);
    const auto secondaries = primaries & primary::kSecondaryControls
                                 ? static_cast<std::uint32_t>(rules[F::SECONDARY_CONTROLS])
                                 : 0u;
    check_execution_controls(rules, pins, primaries, secondaries);
    rules.demand(115, F::EXIT_CONTROLS,
                 kExitControls.allows(static_cast<std::uint32_t>(rules[F::EXIT_CONTROLS])));
    rules.demand(118, F::EXIT_CONTROLS,
                 (pins & pin::kPreemptionTimer) ||
                     !(rules[F::EXIT_CONTROLS] & exit_control::kSavePreemptionTimer));
    // DEVIATION: where a modelled hypervisor is the host its areas are checked but not processed;
    // it has its own MSRs apart from the guest's.
    check_msr_area(rules, 116, F::EXIT_MSR_STORE_ADDRESS, F::EXIT_MSR_STORE_COUNT);
    check_msr_area(rules, 117, F::EXIT_MSR_LOAD_ADDRESS, F::EXIT_MSR_LOAD_COUNT);
    rules.demand(120, F::ENTRY_CONTROLS,
                 kEntryControls.allows(static_cast<std::uint32_t>(rules[F::ENTRY_CONTROLS])));
    check_msr_area(rules, 128, F::ENTRY_MSR_LOAD_ADDRESS, F::ENTRY_MSR_LOAD_COUNT);
    check_event_injection(rules, secondaries);
    return rules.passed();
}

// 27.2.2 to 27.2.4.
bool check_host_state(const Guest& guest, EntryFailure& failure) {
    Rules rules(guest, failure);
    using F = Field;
    const std::uint64_t cr0 = rules[F::HOST_CR0], cr4 = rules[F::HOST_CR4];
    rules.demand(201, F::HOST_CR0, (cr0 & kCr0Fixed0) == kCr0Fixed0 && (cr0 & ~kCr0Fixed1) == 0);
    rules.demand(202, F::HOST_CR4, rules.is_valid_cr4(cr4));
    rules.demand(203, F::HOST_CR3, rules.is_physical(rules[F::HOST_CR3]));
    for (const Field address : {F::HOST_SYSENTER_ESP, F::HOST_SYSENTER_EIP})
        rules.demand(205, address, is_canonical(rules[address]));
    const std::uint64_t exits = rules[F::EXIT_CONTROLS];
    const bool host64 = (exits & exit_control::kHostAddressSpace64) != 0;
    if (exits & exit_control::kLoadPat)
        rules.demand(206, F::HOST_PAT, is_valid_pat(rules[F::HOST_PAT]));
    if (exits & exit_control::kLoadEfer) {
        const std::uint64_t value = rules[F::HOST_EFER];
        constexpr std::uint64_t kValid = efer::kSCE | efer::kLME | efer::kLMA | efer::kNXE;
        rules.demand(207, F::HOST_EFER, (value & ~kValid) == 0);
        rules.demand(
            208, F::HOST_EFER,
            ((value & efer::kLMA) != 0) == host64 && ((value & efer::kLME) != 0) == host64);
    }
    for (const Field selector :
         {F::HOST_ES_SELECTOR, F::HOST_CS_SELECTOR, F::HOST_SS_SELECTOR, F::HOST_DS_SELECTOR,
          F::HOST_FS_SELECTOR, F::HOST_GS_SELECTOR, F::HOST_TR_SELECTOR})
        rules.demand(211, selector, (rules[selector] & 7) == 0);
    rules.demand(212, F::HOST_CS_SELECTOR, rules[F::HOST_CS_SELECTOR] != 0);
    rules.demand(213, F::HOST_TR_SELECTOR, rules[F::HOST_TR_SELECTOR] != 0);
    for (const Field base :
         {F::HOST_FS_BASE, F::HOST_GS_BASE, F::HOST_GDTR_BASE, F::HOST_IDTR_BASE, F::HOST_TR_BASE})
        rules.demand(214, base, is_canonical(rules[base]));
    rules.demand(215, F::HOST_SS_SELECTOR, host64 || rules[F::HOST_SS_SELECTOR] != 0);
    const bool ia32e_guest = (rules[F::ENTRY_CONTROLS] & entry_control::kIa32eGuest) != 0;
    rules.demand(221, F::EXIT_CONTROLS, host64 == guest.host_is_long());
    rules.demand(223, F::ENTRY_CONTROLS, host64 || !ia32e_guest);
    rules.demand(222, F::HOST_CR4, !host64 || (cr4 & cr4::kPAE) != 0);
    rules.demand(224, F::HOST_CR4, host64 || !(cr4 & cr4::kPCIDE));
    rules.demand(204, F::HOST_RIP,
                 host64 ? is_canonical(rules[F::HOST_RIP]) : rules[F::HOST_RIP] >> 32 == 0);
    return rules.passed();
}

}  // namespace hvsim::cpu::vmx
