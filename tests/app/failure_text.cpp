// Failures in words.
#include "app/failure_text.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "analysis/report.h"
#include "analysis/tally.h"
#include "cpu/vmx/spec/fields.h"
#include "sim/recorder.h"

using namespace hvsim;
using namespace hvsim::app;
using sim::EventKind;

namespace {

sim::Code code_of(std::initializer_list<std::uint8_t> bytes) {
    sim::Code code;
    code.size = static_cast<std::uint8_t>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), code.bytes.begin());
    return code;
}

constexpr sim::Subject kBare{0, sim::kNoUnit, sim::kNoUnit};

}  // namespace

TEST_CASE("a failed entry is told by its rule, field, value and place") {
    const auto field = static_cast<std::uint64_t>(cpu::vmx::Field::GUEST_CR0);
    const sim::Event event{
        sim::kSecond, EventKind::kVmEntryFailed, kBare, {302, field, 0x80000030, 0x7c00}};
    const analysis::Failure failure =
        describe_failure(Vendor::intel, event, code_of({0x0f, 0x01, 0xc2, 0xeb, 0x10}));
    CHECK(failure.kind == "vm_entry_failed");
    CHECK(failure.rule == "VMX 302");
    CHECK(failure.section == "SDM 3C 27.3.1.1");
    CHECK(failure.field == "GUEST_CR0");
    CHECK(failure.demand == "PE 1 when PG is 1");
    CHECK(failure.value_text == "ET NE PG");
    CHECK(failure.outcome == "VM exit 33, invalid guest state");
    CHECK(failure.processor == "processor 0");
    CHECK(failure.rip == 0x7c00);
    CHECK(failure.instruction == "vmlaunch");
    CHECK(failure.code_bytes == "0f01c2");
}

TEST_CASE("instructions that fail, and modelled software that has none") {
    const analysis::Failure invalid = describe_failure(
        Vendor::intel,
        {0, EventKind::kVmxInstructionFailed, kBare, {523, 0, ~std::uint64_t{0}, 0x10}},
        code_of({0x0f, 0x01, 0xc3}));
    CHECK(invalid.outcome == "VMfailInvalid");
    CHECK(invalid.instruction == "vmresume");
    const analysis::Failure valid = describe_failure(
        Vendor::intel, {0, EventKind::kVmxInstructionFailed, kBare, {535, 5, 0, 0x10}}, {});
    CHECK(valid.outcome == "VMfailValid, error 5: VMRESUME with non-launched VMCS");
    CHECK(valid.value_text == "clear");
    CHECK(valid.instruction.empty());
    const analysis::Failure refused = describe_failure(
        Vendor::amd, {0, EventKind::kInstructionRefused, kBare, {201, 6, 0x500, 0x10}},
        code_of({0x0f, 0x01, 0xd8}));
    CHECK(refused.outcome == "#UD");
    CHECK(refused.section == "APM 2 15.4");
    CHECK(refused.value_text == "LME LMA");
    const analysis::Failure modelled = describe_failure(
        Vendor::amd, {0, EventKind::kVmEntryFailed, {0, 2, 1}, {123, 0x58, 0, 0}}, {});
    CHECK(modelled.field == "GUEST_ASID");
    CHECK_FALSE(modelled.rip);
    CHECK(modelled.processor == "processor 0, partition 2 vp 1");
    // A number that no rule has (another program's trace) is told all the same.
    CHECK(describe_failure(Vendor::amd, {0, EventKind::kVmEntryFailed, kBare, {9999, 1, 2, 3}}, {})
              .rule == "SVM 9999");
}

TEST_CASE("the report has the first failure of a run, and how many there were") {
    sim::Recorder recorder;
    analysis::Tally tally{{}};
    recorder.set_sink(&tally, sim::EventLevel::event);
    analysis::RunResult result;
    CHECK_FALSE(tally.first_failure());
    CHECK(analysis::text_report(result).find("First failure") == std::string::npos);
    CHECK(analysis::json_report(result).find("first_failure") == std::string::npos);
    recorder.give_code(code_of({0x0f, 0x01, 0xc2}));
    recorder.record(EventKind::kVmEntryFailed, sim::kMicrosecond, kBare, 101, 0x4000, 0x116,
                    0x8000);
    recorder.give_code({});
    recorder.record(EventKind::kVmxInstructionFailed, sim::kSecond, kBare, 535, 5);
    REQUIRE(tally.first_failure());
    CHECK(tally.failures() == 2);
    const auto& noted = *tally.first_failure();
    result.first_failure = describe_failure(Vendor::intel, noted.event, noted.code);
    result.first_failure->count = tally.failures();
    const std::string text = analysis::text_report(result);
    for (const char* line :
         {"what   VM entry failed: VMfailValid, error 7\n",
          "rule   VMX 101 (SDM 3C 27.2.1.1) demands of PIN_BASED_CONTROLS: bits that "
          "IA32_VMX_TRUE_PINBASED_CTLS allows\n",
          "found  PIN_BASED_CONTROLS = 0x116 (bit 1, bit 2, bit 4, bit 8)\n",
          "wrong  bit 8 must be 0\n",
          "where  0.000001000000 s, processor 0, RIP 0x8000: vmlaunch\n", "2 failures in all\n"}) {
        CAPTURE(text);
        CAPTURE(line);
        CHECK(text.find(line) != std::string::npos);
    }
    CHECK(analysis::json_report(result).find("\"rule\": \"VMX 101\"") != std::string::npos);
}

TEST_CASE("a trace names rules by number, section and demand") {
    const auto names = rule_names(Vendor::amd);
    CHECK(std::any_of(names.begin(), names.end(), [](const RuleName& name) {
        return name.number == 123 && name.text == "123, APM 2 15.5.1: an ASID other than 0";
    }));
}
