// Instructions and values as text.
#include "cpu/disassembly.h"

#include <doctest/doctest.h>

#include "cpu/svm/spec/controls.h"
#include "cpu/svm/spec/rules.h"
#include "cpu/svm/spec/vmcb.h"
#include "cpu/svm/value_text.h"
#include "cpu/value_text.h"
#include "cpu/vmx/capabilities.h"
#include "cpu/vmx/spec/controls.h"
#include "cpu/vmx/spec/rules.h"
#include "cpu/vmx/value_text.h"

using namespace hvsim;
using namespace hvsim::cpu;

namespace {

sim::Code code_of(std::initializer_list<std::uint8_t> bytes, std::uint8_t bits = 64) {
    sim::Code code;
    code.bits = bits;
    code.size = static_cast<std::uint8_t>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), code.bytes.begin());
    return code;
}

}  // namespace

TEST_CASE("instructions of the extensions are disassembled in each mode") {
    CHECK(disassemble(code_of({0x0f, 0x01, 0xc2, 0x90, 0x90}), 0x1000) == "vmlaunch");
    CHECK(disassemble(code_of({0x0f, 0x01, 0xc3}, 32), 0x1000) == "vmresume");
    CHECK(disassemble(code_of({0xf3, 0x0f, 0xc7, 0x34, 0x25, 0, 0x40, 0, 0}), 0) ==
          "vmxon qword ptr [0x4000]");
    CHECK(disassemble(code_of({0x0f, 0x79, 0xd0}), 0) == "vmwrite rdx, rax");
    CHECK(disassemble(code_of({0x0f, 0x01, 0xd8}), 0) == "vmrun rax");
    CHECK(disassemble(code_of({0xb8, 0x34, 0x12}, 16), 0x7c00) == "mov ax, 0x1234");
    CHECK(disassemble(code_of({0xeb, 0xfe}), 0x1000) == "jmp 0x1000");
    CHECK(instruction_size(code_of({0x0f, 0x01, 0xc2, 0x90})) == 3);
}

TEST_CASE("code that is no instruction is told by its bytes") {
    CHECK(disassemble(code_of({}), 0).empty());
    CHECK(disassemble(code_of({0x0f}), 0) == "bytes 0f");
    CHECK(instruction_size(code_of({0x0f})) == 0);
    CHECK(disassemble(code_of({0x06, 0x90}), 0) ==
          "bytes 06 90");  // PUSH ES is none in 64-bit mode
}

TEST_CASE("registers and VMCS fields are told by their bits") {
    CHECK(cr0_text(0x80000011) == "PE ET PG");
    CHECK(cr4_text(0x2020) == "PAE VMXE");
    CHECK(efer_text(0) == "none");
    CHECK(rflags_text(0x3002) == "IOPL 3");
    CHECK(access_rights_text(0xa09b) == "type 11 code or data DPL 0 P L G");
    using vmx::Field;
    CHECK(vmx::value_text(Field::PIN_BASED_CONTROLS, 0x29) ==
          "external-interrupt exiting, NMI exiting, virtual NMIs");
    CHECK(vmx::value_text(Field::PIN_BASED_CONTROLS, 0x3) == "external-interrupt exiting, bit 1");
    CHECK(vmx::value_text(Field::ENTRY_INTERRUPTION_INFO, 0x80000b0d) ==
          "hardware exception, #GP, with error code");
    CHECK(vmx::value_text(Field::EXIT_REASON, 0x80000021) ==
          "entry_failure_guest_state, the entry failed");
    CHECK(vmx::value_text(Field::GUEST_ACTIVITY, 1) == "HLT");
    CHECK(vmx::value_text(Field::GUEST_RIP, 0x1000).empty());
}

TEST_CASE("VMCB fields are told by their bits") {
    using namespace svm::vmcb;
    CHECK(svm::value_text(INTERCEPT_MISC2.offset, 3) == "VMRUN, VMMCALL");
    CHECK(svm::value_text(CS_ATTRIB.offset, 0xa9b) == "type 11 code or data DPL 0 P L G");
    CHECK(svm::value_text(EXITCODE.offset, 0x4e) == "VMEXIT_EXCP14");
    CHECK(svm::value_text(EXITCODE.offset, 0x400) == "VMEXIT_NPF");
    CHECK(svm::value_text(EVENTINJ.offset, 0x80000b0d) == "exception, #GP, error code 0x0");
    CHECK(svm::value_text(VINTR.offset, 0x2101000103) ==
          "V_IRQ, V_INTR_MASKING; V_TPR 0x3, priority 0, vector 0x21");
    CHECK(svm::value_text(RIP.offset, 5).empty());
}

TEST_CASE("what breaks a rule about reserved bits is told bit by bit") {
    CHECK(vmx::broken_bits_text(101, 0x14) == "bit 1 must be 1");
    CHECK(vmx::broken_bits_text(101, 0x116) == "bit 8 must be 0");
    CHECK(vmx::broken_bits_text(201, 0x80000001) == "bit 5 (NE) must be 1");
    CHECK(vmx::broken_bits_text(302, 0).empty());
}

TEST_CASE("each control that a processor allows is named as functional or stored, no other") {
    const auto check = [](const vmx::ControlCapability& capability, std::span<const Control> bits) {
        for (const Control& control : bits) {
            CAPTURE(control.name);
            const bool allowed = (capability.may_be_one >> control.bit & 1) != 0;
            CHECK(allowed == (control.support != Support::absent));
        }
        for (unsigned bit = 0; bit < 32; ++bit) {
            CAPTURE(bit);
            const bool named = std::any_of(bits.begin(), bits.end(),
                                           [bit](const Control& row) { return row.bit == bit; });
            const bool reserved =
                (capability.must_be_one >> bit & 1) || !(capability.may_be_one >> bit & 1);
            CHECK((named || reserved));
        }
    };
    check(vmx::kPinControls, vmx::kPinBits);
    check(vmx::kPrimaryControls, vmx::kPrimaryBits);
    check(vmx::kSecondaryControls, vmx::kSecondaryBits);
    check(vmx::kExitControls, vmx::kExitBits);
    check(vmx::kEntryControls, vmx::kEntryBits);
    for (const ControlWord& word : vmx::kControlWords)
        CHECK(vmx::field_name(static_cast<vmx::Field>(word.field)) == word.name);
    for (const ControlWord& word : svm::kControlWords)
        CHECK(svm::field_name(word.field) == word.name);
}

TEST_CASE("rules are found by their numbers") {
    const auto [rule, group] = find_rule(vmx::kRuleGroups, 302);
    REQUIRE(rule != nullptr);
    CHECK(rule->field == "GUEST_CR0");
    CHECK(group->outcome == "VM exit 33, invalid guest state");
    CHECK(find_rule(svm::kRuleGroups, 1).rule == nullptr);
}
