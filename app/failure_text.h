#pragma once
// A failed VM entry, or an extension's instruction that failed, in words.
#include "analysis/run_result.h"
#include "app/scenario/scenario.h"
#include "sim/event.h"

namespace hvsim::app {

/// `event`: vm_entry_failed, instruction_refused or vmx_instruction_failed on a machine of that
/// vendor, with the code at its RIP.
analysis::Failure describe_failure(Vendor vendor, const sim::Event& event, const sim::Code& code);

/// The rule as a trace names it: "302, SDM 3C 27.3.1.1: PE 1 when PG is 1".
struct RuleName {
    std::uint32_t number;
    std::string text;
};
std::vector<RuleName> rule_names(Vendor vendor);

}  // namespace hvsim::app
