// Guest programs under VT-x: every exit reason, class of entry check and kind of injection.
#include "cpu/vmx/operation.h"
#include "tests/cpu/programs/virtualization.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

namespace {

std::string error_name(std::uint64_t error) {
    switch (static_cast<vmx::InstructionError>(error)) {
        case vmx::InstructionError::vmlaunch_not_clear:
            return "vmlaunch_not_clear";
        case vmx::InstructionError::vmresume_not_launched:
            return "vmresume_not_launched";
        case vmx::InstructionError::entry_invalid_controls:
            return "entry_invalid_controls";
        case vmx::InstructionError::entry_invalid_host_state:
            return "entry_invalid_host_state";
        case vmx::InstructionError::entry_blocked_by_mov_ss:
            return "entry_blocked_by_mov_ss";
        default:
            return std::to_string(error);
    }
}

/// Record: kind (1 exit, 2 VMfailValid, 3 VMfailInvalid), place, 16 registers, the fields that
/// `noted_fields` of vmx/host.inc lists.
NotedExit note(const Machine& m, std::uint64_t record) {
    NotedExit exit;
    const std::uint64_t list = m.program["noted_fields"];
    for (unsigned i = 0;; ++i) {
        const auto encoding = m.peek<std::uint32_t>(list + 4 * i);
        if (encoding == ~0u) break;
        exit.fields[std::string(vmx::field_name(static_cast<vmx::Field>(encoding)))] =
            m.peek(record + 144 + 8 * i);
    }
    const std::uint64_t kind = m.peek(record);
    const std::uint64_t reason = exit.fields["EXIT_REASON"];
    if (kind == 1) {
        exit.kind = "exit";
        exit.name = vmx::exit_reason_name(static_cast<std::uint32_t>(reason & 0xffff));
        if (exit.name.empty()) exit.name = std::to_string(reason);
        if (reason & vmx::kEntryFailure) exit.fields["rule"] = 0;
    } else {
        exit.kind = "fail";
        exit.name = kind == 2 ? error_name(exit.fields["VM_INSTRUCTION_ERROR"]) : "invalid";
        if (exit.name == "entry_invalid_controls" || exit.name == "entry_invalid_host_state")
            exit.fields["rule"] = 0;
    }
    return exit;
}

const std::vector<Unreachable> kUnreachable{
    {"getsec", "no SMX: CR4.SMXE is reserved and GETSEC is #UD (SDM 2D GETSEC)"},
    {"rsm", "only in system-management mode, which the model does not have; else #UD"},
    {"entry_failure_machine_check", "no machine checks"},
};

}  // namespace

TEST_CASE("programs under VT-x exit, fail and go on as their headers say") {
    for (const std::string& name : programs_in("vmx"))
        check_program<vmx::Operation>(name, "intel-skylake", note);
}

TEST_CASE("every class of VT-x entry checks has a program that breaks it") {
    check_rule_classes("vmx", {{"VM-execution controls (27.2.1.1)", 101, 114},
                               {"VM-exit controls (27.2.1.2)", 115, 118},
                               {"VM-entry controls and event injection (27.2.1.3)", 119, 128},
                               {"virtual APIC, posted interrupts, further structures", 129, 144},
                               {"host control registers and MSRs (27.2.2)", 201, 208},
                               {"host segments and tables (27.2.3)", 211, 215},
                               {"the host's address-space size (27.2.4)", 221, 224},
                               {"guest control registers, DR7, MSRs (27.3.1.1)", 301, 315},
                               {"guest segments (27.3.1.2)", 321, 370},
                               {"guest descriptor tables (27.3.1.3)", 371, 374},
                               {"guest TR and LDTR (27.3.1.2)", 375, 378},
                               {"guest RIP and RFLAGS (27.3.1.4)", 381, 384},
                               {"guest non-register state (27.3.1.5)", 391, 399},
                               {"guest PDPTEs (27.3.1.6)", 401, 401},
                               {"guest activity and pending debug exceptions", 402, 406}});
}

TEST_CASE("every VT-x exit reason that the model knows has a program") {
    std::vector<std::string> reasons{
#define HVSIM_REASON_NAME(name, number) #name,
        HVSIM_VMX_EXIT_REASONS(HVSIM_REASON_NAME)
#undef HVSIM_REASON_NAME
    };
    check_coverage("vmx", reasons, kUnreachable);
}
