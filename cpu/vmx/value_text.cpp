#include "cpu/vmx/value_text.h"

#include <fmt/format.h>

#include "cpu/descriptor.h"
#include "cpu/value_text.h"
#include "cpu/vmx/capabilities.h"
#include "cpu/vmx/spec/controls.h"

namespace hvsim::cpu::vmx {
namespace {

/// SDM 3C tables 25-18 and 25-19.
std::string interruption_text(std::uint64_t value) {
    constexpr std::string_view kTypes[] = {
        "external interrupt", "reserved type",      "NMI",
        "hardware exception", "software interrupt", "privileged software exception",
        "software exception", "other event"};
    if (!interruption::VALID::test(value)) return "not valid";
    const std::uint64_t type = interruption::TYPE::get(value);
    const std::uint64_t vector = interruption::VECTOR::get(value);
    const bool exception = type == 3 || type == 5 || type == 6;
    return fmt::format("{}, {}{}", kTypes[type],
                       exception ? vector_text(vector) : fmt::format("vector {:#x}", vector),
                       interruption::ERROR_CODE_VALID::test(value) ? ", with error code" : "");
}

std::string exit_reason_text(std::uint64_t value) {
    const std::string_view name = exit_reason_name(static_cast<std::uint32_t>(value));
    return fmt::format("{}{}", name, value & kEntryFailure ? ", the entry failed" : "");
}

std::string activity_text(std::uint64_t value) {
    constexpr std::string_view kStates[] = {"active", "HLT", "shutdown", "wait-for-SIPI"};
    return value < std::size(kStates) ? std::string(kStates[value]) : std::string{};
}

std::string exceptions_text(std::uint64_t value) {
    std::string text;
    for (unsigned vector = 0; vector < 32; ++vector)
        if (value >> vector & 1) {
            if (!text.empty()) text += ' ';
            text += vector_text(vector);
        }
    return text.empty() ? "none" : text;
}

constexpr BitName kInterruptibilityBits[] = {{0, "blocking by STI,"},
                                             {1, "blocking by MOV SS,"},
                                             {2, "blocking by SMI,"},
                                             {3, "blocking by NMI,"},
                                             {4, "enclave interruption,"}};
constexpr BitName kPendingDebugBits[] = {
    {0, "B0"},  {1, "B1"},  {2, "B2"}, {3, "B3"}, {12, "enabled breakpoint,"},
    {14, "BS"}, {16, "RTM"}};

bool is_access_rights(Field field) noexcept {
    return field >= Field::GUEST_ES_ACCESS_RIGHTS && field <= Field::GUEST_TR_ACCESS_RIGHTS;
}

}  // namespace

std::string value_text(Field field, std::uint64_t value) {
    if (const ControlWord* word =
            find_control_word(kControlWords, static_cast<std::uint16_t>(field)))
        return bits_text(word->bits, value);
    if (is_access_rights(field)) return access_rights_text(static_cast<std::uint32_t>(value));
    switch (field) {
        case Field::GUEST_CR0:
        case Field::HOST_CR0:
        case Field::CR0_MASK:
        case Field::CR0_READ_SHADOW:
            return cr0_text(value);
        case Field::GUEST_CR4:
        case Field::HOST_CR4:
        case Field::CR4_MASK:
        case Field::CR4_READ_SHADOW:
            return cr4_text(value);
        case Field::GUEST_EFER:
        case Field::HOST_EFER:
            return efer_text(value);
        case Field::GUEST_RFLAGS:
            return rflags_text(value);
        case Field::ENTRY_INTERRUPTION_INFO:
        case Field::EXIT_INTERRUPTION_INFO:
        case Field::IDT_VECTORING_INFO:
            return interruption_text(value);
        case Field::EXIT_REASON:
            return exit_reason_text(value);
        case Field::VM_INSTRUCTION_ERROR:
            return std::string(instruction_error_text(value));
        case Field::EXCEPTION_BITMAP:
            return exceptions_text(value);
        case Field::GUEST_ACTIVITY:
            return activity_text(value);
        case Field::GUEST_INTERRUPTIBILITY:
            return bits_text(kInterruptibilityBits, value);
        case Field::GUEST_PENDING_DEBUG:
            return bits_text(kPendingDebugBits, value);
        default:
            return {};
    }
}

std::string_view instruction_error_text(std::uint64_t error) noexcept {
    switch (static_cast<InstructionError>(error)) {
        case InstructionError::none:
            return {};
        case InstructionError::vmcall_in_root:
            return "VMCALL executed in VMX root operation";
        case InstructionError::vmclear_invalid_address:
            return "VMCLEAR with invalid physical address";
        case InstructionError::vmclear_vmxon_pointer:
            return "VMCLEAR with VMXON pointer";
        case InstructionError::vmlaunch_not_clear:
            return "VMLAUNCH with non-clear VMCS";
        case InstructionError::vmresume_not_launched:
            return "VMRESUME with non-launched VMCS";
        case InstructionError::vmresume_after_vmxoff:
            return "VMRESUME after VMXOFF";
        case InstructionError::entry_invalid_controls:
            return "VM entry with invalid control fields";
        case InstructionError::entry_invalid_host_state:
            return "VM entry with invalid host-state fields";
        case InstructionError::vmptrld_invalid_address:
            return "VMPTRLD with invalid physical address";
        case InstructionError::vmptrld_vmxon_pointer:
            return "VMPTRLD with VMXON pointer";
        case InstructionError::vmptrld_wrong_revision:
            return "VMPTRLD with incorrect VMCS revision identifier";
        case InstructionError::unsupported_component:
            return "VMREAD or VMWRITE of an unsupported VMCS component";
        case InstructionError::vmwrite_read_only:
            return "VMWRITE to a read-only VMCS component";
        case InstructionError::vmxon_in_root:
            return "VMXON executed in VMX root operation";
        case InstructionError::entry_blocked_by_mov_ss:
            return "VM entry with events blocked by MOV SS";
        case InstructionError::invalid_operand_to_invept_invvpid:
            return "invalid operand to INVEPT or INVVPID";
    }
    return {};
}

std::string broken_bits_text(std::uint32_t rule, std::uint64_t value) {
    const auto by_capability = [value](const ControlCapability& capability,
                                       std::span<const Control> names) {
        return refused_bits_text(names, value, capability.must_be_one, capability.may_be_one);
    };
    switch (rule) {
        case 101:
            return by_capability(kPinControls, kPinBits);
        case 102:
            return by_capability(kPrimaryControls, kPrimaryBits);
        case 103:
            return by_capability(kSecondaryControls, kSecondaryBits);
        case 115:
            return by_capability(kExitControls, kExitBits);
        case 120:
            return by_capability(kEntryControls, kEntryBits);
        case 201:
        case 512:
            return refused_bits_text(cr0_bits(), value, kCr0Fixed0, kCr0Fixed1);
        case 202:
        case 303:
        case 513:
            return refused_bits_text(cr4_bits(), value, kCr4Fixed0,
                                     cr4_fixed1(default_model(Vendor::intel)));
        case 301: {  // an unrestricted guest is free in PE and PG
            const std::string text = refused_bits_text(
                cr0_bits(), value, kCr0Fixed0 & ~(cr0::kPE | cr0::kPG), kCr0Fixed1);
            return text.empty() ? refused_bits_text(cr0_bits(), value, kCr0Fixed0, kCr0Fixed1)
                                : text;
        }
        default:
            return {};
    }
}

}  // namespace hvsim::cpu::vmx
