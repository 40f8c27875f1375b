#include "app/failure_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cpu/disassembly.h"
#include "cpu/svm/spec/rules.h"
#include "cpu/svm/spec/vmcb.h"
#include "cpu/svm/value_text.h"
#include "cpu/value_text.h"
#include "cpu/vmx/spec/rules.h"
#include "cpu/vmx/value_text.h"

namespace hvsim::app {
namespace {

using sim::EventKind;

std::span<const cpu::RuleGroup> rule_groups(Vendor vendor) {
    if (vendor == Vendor::intel) return cpu::vmx::kRuleGroups;
    return cpu::svm::kRuleGroups;
}

/// With the manual's name, which a section leaves out where it is the extension's own.
std::string section_text(Vendor vendor, std::string_view section) {
    const bool digit = !section.empty() && section.front() >= '0' && section.front() <= '9';
    if (!digit) return std::string(section);
    return fmt::format("{} {}", vendor == Vendor::intel ? "SDM 3C" : "APM 2", section);
}

/// An entry's field by its own name, since a rule may be about several.
void set_entry_field(analysis::Failure& failure, Vendor vendor, const sim::Event& event) {
    const std::uint64_t field = event.arguments[1], value = event.arguments[2];
    std::string_view name;
    if (vendor == Vendor::intel) {
        name = cpu::vmx::field_name(static_cast<cpu::vmx::Field>(field));
        failure.value_text = cpu::vmx::value_text(static_cast<cpu::vmx::Field>(field), value);
    } else {
        name = cpu::svm::field_name(static_cast<std::uint16_t>(field));
        failure.value_text = cpu::svm::value_text(static_cast<std::uint16_t>(field), value);
    }
    if (!name.empty()) failure.field = name;
}

/// What an instruction's rule looks at is no field of a control block, but for a few registers.
std::string register_text(std::string_view name, std::uint64_t value) {
    if (name == "CR0") return cpu::cr0_text(value);
    if (name == "CR4") return cpu::cr4_text(value);
    if (name == "EFER") return cpu::efer_text(value);
    if (name == "RFLAGS") return cpu::rflags_text(value);
    if (name == "VMX operation") return value != 0 ? "VMX root operation" : "outside";
    if (name == "launch state") return value != 0 ? "launched" : "clear";
    return {};
}

void set_outcome(analysis::Failure& failure, const sim::Event& event) {
    const std::uint64_t number = event.arguments[1];
    switch (event.kind) {
        case EventKind::kVmEntryFailed:
            failure.what = "VM entry failed";
            break;
        case EventKind::kInstructionRefused:
            failure.what = "instruction refused";
            failure.outcome = cpu::vector_text(number);
            break;
        default:
            failure.what = "VMX instruction failed";
            failure.outcome = number == 0 ? "VMfailInvalid"
                                          : fmt::format("VMfailValid, error {}: {}", number,
                                                        cpu::vmx::instruction_error_text(number));
            break;
    }
}

std::string processor_text(const sim::Subject& subject) {
    std::string text;
    if (subject.lp != sim::kNoUnit) text = fmt::format("processor {}", subject.lp);
    if (subject.partition != sim::kNoUnit)
        text += fmt::format("{}partition {} vp {}", text.empty() ? "" : ", ", subject.partition,
                            subject.vp);
    return text;
}

}  // namespace

analysis::Failure describe_failure(Vendor vendor, const sim::Event& event, const sim::Code& code) {
    const auto number = static_cast<std::uint32_t>(event.arguments[0]);
    const auto [rule, group] = cpu::find_rule(rule_groups(vendor), number);
    analysis::Failure failure;
    failure.kind = sim::describe(event.kind).name;
    failure.rule = fmt::format("{} {}", vendor == Vendor::intel ? "VMX" : "SVM", number);
    failure.value = event.arguments[2];
    failure.time = event.time;
    failure.processor = processor_text(event.subject);
    if (rule != nullptr) {
        failure.section = section_text(vendor, rule->section);
        failure.field = rule->field;
        failure.demand = rule->demand;
        failure.outcome = group->outcome;
    }
    set_outcome(failure, event);
    if (event.kind == EventKind::kVmEntryFailed)
        set_entry_field(failure, vendor, event);
    else
        failure.value_text = register_text(failure.field, failure.value);
    if (vendor == Vendor::intel) failure.broken = cpu::vmx::broken_bits_text(number, failure.value);
    const std::uint64_t rip = event.arguments[3];
    if (rip != 0 || code.size != 0) failure.rip = rip;
    failure.instruction = cpu::disassemble(code, rip);
    if (const std::size_t size = cpu::instruction_size(code); size != 0)
        failure.code_bytes = fmt::format(
            "{:02x}",
            fmt::join(code.bytes.begin(), code.bytes.begin() + static_cast<long>(size), ""));
    return failure;
}

std::vector<RuleName> rule_names(Vendor vendor) {
    std::vector<RuleName> names;
    for (const cpu::RuleGroup& group : rule_groups(vendor))
        for (const cpu::Rule& rule : group.rules)
            names.push_back(
                {rule.number, fmt::format("{}, {}: {}", rule.number,
                                          section_text(vendor, rule.section), rule.demand)});
    return names;
}

}  // namespace hvsim::app
