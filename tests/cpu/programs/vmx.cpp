// VMX instructions executed by a program on a whole processor: what fails and how, entries and
// exits, MSR areas, controls that make exits of their own.
#include "cpu/vmx/operation.h"

#include "tests/cpu/programs/bench.h"
#include "tests/cpu/programs/failure_log.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;
using vmx::ExitReason;
using vmx::InstructionError;

namespace {

enum Part : std::uint64_t { refused, world_switches, controls };

constexpr std::uint64_t kCF = 1, kZF = 0x40;

struct VmxProgram {
    explicit VmxProgram(Part part) : machine("vmx", options()), operation(machine.core()) {
        machine.core().set_virtualization(&operation);
        machine.core().set_gpr(engine::kRdi, part);
    }
    static Options options() {
        Options intel;
        intel.model = "intel-skylake";
        return intel;
    }
    Machine machine;
    vmx::Operation operation;
};

constexpr std::uint64_t number(ExitReason reason) {
    return static_cast<std::uint64_t>(reason);
}
constexpr std::uint64_t number(InstructionError error) {
    return static_cast<std::uint64_t>(error);
}

}  // namespace

TEST_CASE("VMX instructions fail with the manual's exceptions, flags and error numbers") {
    VmxProgram bench(refused);
    Machine& m = bench.machine;
    FailureLog log;
    m.recorder.set_sink(&log, sim::EventLevel::event);
    CHECK(m.run() == End::halted);
    INFO(m.story());
    check_faults(m, {{"without_vmxe", kUD},
                     {"unlocked", kGP},
                     {"outside_operation", kUD},
                     {"clear_vmxe", kGP},
                     {"no_vm_function", kUD},
                     {"after_vmxoff", kUD}});
    CHECK(m.result(0) == kCF);  // revision
    CHECK(m.result(1) == kCF);  // alignment
    CHECK(m.result(2) == 0);
    CHECK(m.result(3) == kCF);
    CHECK(m.result(4) == kCF);
    CHECK(m.result(5) == 0);
    CHECK(m.result(6) == 0);
    CHECK(m.result(7) == PAGES + 0x1000);
    CHECK(m.result(8) == number(InstructionError::vmptrld_vmxon_pointer));
    CHECK(m.result(9) == number(InstructionError::vmclear_vmxon_pointer));
    CHECK(m.result(10) == number(InstructionError::vmptrld_wrong_revision));
    CHECK(m.result(11) == kZF);
    CHECK(m.result(12) == number(InstructionError::unsupported_component));
    CHECK(m.result(13) == kZF);
    CHECK(m.result(14) == number(InstructionError::entry_invalid_controls));
    CHECK(m.result(15) == number(InstructionError::vmresume_not_launched));
    CHECK(m.result(16) == number(InstructionError::vmcall_in_root));
    CHECK(m.result(17) == number(InstructionError::invalid_operand_to_invept_invvpid));
    CHECK(m.result(18) == kZF);
    CHECK(m.result(19) == 0);
    CHECK(m.result(20) == number(InstructionError::vmxon_in_root));
    CHECK(m.result(21) == 0);
    CHECK_FALSE(bench.operation.in_operation());
    const std::vector<std::string> expected{
        "501 vmxon",   "514 vmxon",   "502 vmptrst",  "522 vmxon",    "521 vmxon",
        "542 vmxon",   "506 vmfunc",  "523 vmlaunch", "537 vmptrld",  "533 vmclear",
        "538 vmptrld", "541 vmread",  "101 vmlaunch", "535 vmresume", "531 vmcall",
        "544 invept",  "548 invvpid", "542 vmxon",    "502 vmxoff"};
    CHECK(log.lines == expected);
}

TEST_CASE("VMLAUNCH, VMRESUME and exits switch between program and guest on one core") {
    VmxProgram bench(world_switches);
    Machine& m = bench.machine;
    CHECK(m.run() == End::halted);
    INFO(m.story());
    CHECK(m.events() == 0);
    CHECK(m.result(1) == 0x2222);
    CHECK(m.result(2) == 0x1234);  // the entry's area
    CHECK(m.result(3) == PAGES + 0x6000);
    CHECK(m.result(4) == number(ExitReason::cpuid));
    CHECK(m.result(5) == m.program["guest_cpuid"]);
    CHECK(m.result(6) == 2);
    CHECK(m.result(7) == 3);  // CF
    CHECK(m.result(8) == 0x5678);
    CHECK(m.result(9) == 0x1234);
    CHECK(m.result(10) == 0xffff);
    CHECK(m.result(11) == 0x400);
    CHECK(m.result(12) == number(InstructionError::vmlaunch_not_clear));
    CHECK(m.result(13) == number(ExitReason::vmclear));
    CHECK(m.result(14) == 0x40);
    // [rsp + rbx * 2 + 0x40]: scale 2, 64-bit address, SS, index RBX, base RSP (table 28-13).
    CHECK((m.result(15) & 0x0fff8783) == (1 | 2u << 7 | 2u << 15 | 3u << 18 | 4u << 23));
    CHECK(m.result(16) == number(ExitReason::vmread));
    CHECK((m.result(17) & 0xf0000478) == (10u << 28 | 1u << 10 | 9u << 3));
    CHECK(m.result(18) == (number(ExitReason::entry_failure_guest_state) | vmx::kEntryFailure));
    CHECK(m.result(19) == (number(ExitReason::entry_failure_msr_loading) | vmx::kEntryFailure));
    CHECK(m.result(20) == 1);  // the first entry of the area
    CHECK(m.result(21) == number(ExitReason::hlt));
}

TEST_CASE("steps, timer, window and TPR threshold make exits of their own") {
    VmxProgram bench(controls);
    Machine& m = bench.machine;
    CHECK(m.run() == End::halted);
    INFO(m.story());
    CHECK(m.events() == 0);
    CHECK(m.result(0) == number(ExitReason::monitor_trap_flag));
    CHECK(m.result(1) == m.program["behind_inc"]);
    CHECK(m.result(2) == number(ExitReason::preemption_timer));
    CHECK(m.result(3) == m.program["behind_inc"]);
    CHECK(m.result(4) == number(ExitReason::preemption_timer));
    CHECK(m.result(5) == m.program["endless"]);
    CHECK(m.result(6) == number(ExitReason::interrupt_window));
    CHECK(m.result(7) == m.program["behind_sti"]);
    CHECK(m.result(8) == 5);
    CHECK(m.result(9) == number(ExitReason::tpr_below_threshold));
    CHECK(m.result(10) == m.program["behind_cr8"]);
    CHECK(m.result(11) == 0x20);
    CHECK(m.result(12) == 0);  // the processor's own TPR
}
